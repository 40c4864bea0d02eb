// ethers v6 against the rollup.
import { ContractFactory, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider, parseEther } from "ethers";
import { L2, WS, assert, matrix, own, sleep, token, versionOf } from "./cell.mjs";

const { cell, end } = matrix("ethers", versionOf("ethers"));
// The provider's cache of 250 ms gives stale nonces on quick blocks.
const provider = new JsonRpcProvider(L2, undefined, { cacheTimeout: -1 });
const wallet = new NonceManager(new Wallet(own.key, provider));
const friend = Wallet.createRandom().address;
let contract;

await cell("chain id and block", async () => {
  const { chainId } = await provider.getNetwork();
  assert(chainId > 0n, "a chain id");
  const block = await provider.getBlock("latest", true);
  assert(block.hash.length === 66, "a block hash");
});

await cell("transfer", async () => {
  const tx = await wallet.sendTransaction({ to: friend, value: parseEther("0.5") });
  const receipt = await tx.wait();
  assert(receipt.status === 1 && receipt.gasUsed === 21000n, "a plain transfer costs 21,000 gas");
  assert((await provider.getBalance(friend)) === parseEther("0.5"), "the friend's balance");
});

await cell("deploy", async () => {
  const factory = new ContractFactory(token.abi, token.bytecode, wallet);
  contract = await (await factory.deploy("Ethers", "ETR", 18)).waitForDeployment();
  assert((await contract.symbol()) === "ETR", "the symbol");
});

await cell("contract calls and events", async () => {
  const me = await wallet.getAddress();
  await (await contract.mint(me, 1000n)).wait();
  const receipt = await (await contract.transfer(friend, 7n)).wait();
  assert((await contract.balanceOf(friend)) === 7n, "the token balance");
  const events = await contract.queryFilter("Transfer", receipt.blockNumber, receipt.blockNumber);
  assert(events.some((e) => e.args[1] === friend && e.args[2] === 7n), "the event");
});

await cell("revert reasons", async () => {
  try {
    await contract.transfer.staticCall(friend, 10n ** 30n);
  } catch (e) {
    assert(e.code === "CALL_EXCEPTION" && e.revert?.name === "ERC20InsufficientBalance", `decoded: ${e}`);
    return;
  }
  throw new Error("it did not revert");
});

await cell("filters", async () => {
  let seen = 0;
  const count = () => (seen += 1);
  await contract.on("Transfer", count);
  await (await contract.transfer(friend, 1n)).wait();
  for (let i = 0; i < 60 && seen === 0; i++) await sleep(250);
  await contract.off("Transfer", count);
  assert(seen > 0, "the event arrived");
});

await cell("websocket subscriptions", async () => {
  const ws = new WebSocketProvider(WS);
  try {
    const head = new Promise((resolve) => ws.on("block", resolve));
    await (await wallet.sendTransaction({ to: friend, value: 1n })).wait();
    assert((await head) > 0, "a new head");
  } finally {
    await ws.destroy();
  }
});

await cell("typed errors", async () => {
  const poor = Wallet.createRandom().connect(provider);
  try {
    await poor.sendTransaction({ to: friend, value: 1n, gasLimit: 21000n });
  } catch (e) {
    assert(e.code === "INSUFFICIENT_FUNDS", `insufficient funds, not ${e.code}`);
    return;
  }
  throw new Error("it was accepted");
});

end();
