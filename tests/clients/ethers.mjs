// ethers v6 against the rollup, and against L1s.
import { Contract, ContractFactory, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider, parseEther } from "ethers";
import { CHAIN_ID, RPC, WS, assert, matrix, onL1, own, rejected, sleep, token, until, versionOf } from "./cell.mjs";

const { cell, end } = matrix("ethers", versionOf("ethers"));
// The provider's cache of 250 ms gives stale nonces on quick blocks.
const provider = new JsonRpcProvider(RPC, undefined, { cacheTimeout: -1 });
const wallet = new NonceManager(new Wallet(own.key, provider));
const friend = Wallet.createRandom().address;
let contract;

await cell("chain id and block", async () => {
  const { chainId } = await provider.getNetwork();
  assert(chainId === BigInt(CHAIN_ID), "the chain id");
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
  const e = await rejected(() => contract.transfer.staticCall(friend, 10n ** 30n), "a call");
  assert(e.code === "CALL_EXCEPTION" && e.revert?.name === "ERC20InsufficientBalance", `decoded: ${e}`);
  const estimate = await rejected(() => contract.transfer.estimateGas(friend, 10n ** 30n), "an estimate");
  assert(estimate.code === "CALL_EXCEPTION" && estimate.data?.startsWith("0xe450d38c"), `the error's data: ${estimate}`);
});

await cell("a transaction that fails", async () => {
  const tx = await contract.transfer(friend, 10n ** 30n, { gasLimit: 100_000n });
  const e = await rejected(() => tx.wait(), "it");
  assert(e.code === "CALL_EXCEPTION" && e.receipt?.status === 0 && e.receipt.logs.length === 0, `failed: ${e}`);
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

await cell("websocket: events of a contract", async () => {
  const ws = new WebSocketProvider(WS);
  try {
    const live = new Contract(await contract.getAddress(), token.abi, ws);
    let seen;
    await live.on("Transfer", (from, to, value) => {
      if (to === friend) seen = value;
    });
    // The subscription may begin after a transfer is mined: one a look until an event arrives.
    await until(async () => {
      await (await contract.transfer(friend, 3n)).wait();
      return seen;
    }, "the event", 30);
    assert(seen === 3n, "its value");
  } finally {
    await ws.destroy();
  }
});

await cell("EIP-7702: an account takes a contract's code, and gives it back", async () => {
  const authority = Wallet.createRandom().connect(provider);
  const target = await contract.getAddress();
  const delegate = async (address, nonce) => {
    const authorization = await authority.authorize({ address, nonce, chainId: CHAIN_ID });
    const tx = await wallet.sendTransaction({ type: 4, to: friend, authorizationList: [authorization], gasLimit: 200_000n });
    assert((await tx.wait()).type === 4, "the receipt's type");
  };
  await delegate(target, 0);
  assert((await provider.getCode(authority.address)) === `0xef0100${target.slice(2).toLowerCase()}`, "the designator");
  const asToken = new Contract(authority.address, token.abi, provider);
  assert((await asToken.totalSupply()) === 0n, "its own storage, with the contract's code");
  await delegate(`0x${"00".repeat(20)}`, 1);
  assert((await provider.getCode(authority.address)) === "0x", "no code again");
  assert((await provider.getTransactionCount(authority.address)) === 2, "a nonce each");
});

await cell("safe and finalized", async () => {
  const { blockNumber } = await (await wallet.sendTransaction({ to: friend, value: 1n })).wait();
  const number = async (tag) => (await provider.getBlock(tag)).number;
  const [finalized, safe, latest] = [await number("finalized"), await number("safe"), await number("latest")];
  assert(finalized <= safe && safe <= latest, `${finalized}, ${safe}, ${latest}`);
  // On both L1s an epoch has one block; what is an epoch old is safe, and what is two epochs old is final.
  if (onL1) {
    assert(finalized < blockNumber, "not at once");
    await provider.send("anvil_mine", ["0x1"]);
    assert((await number("safe")) >= blockNumber && (await number("finalized")) < blockNumber, "safe first");
    await provider.send("anvil_mine", ["0x1"]);
    assert((await number("finalized")) >= blockNumber, "then final");
  }
  await until(async () => (await number("finalized")) >= blockNumber, "finality");
});

await cell("typed errors", async () => {
  const poor = Wallet.createRandom().connect(provider);
  const e = await rejected(() => poor.sendTransaction({ to: friend, value: 1n, gasLimit: 21000n }), "it");
  assert(e.code === "INSUFFICIENT_FUNDS", `insufficient funds, not ${e.code}`);
  const low = await rejected(() => new Wallet(own.key, provider).sendTransaction({ to: friend, nonce: 0 }), "an old nonce");
  assert(low.code === "NONCE_EXPIRED", `nonce expired, not ${low.code}`);
});

end();
