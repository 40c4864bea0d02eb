// viem and viem/zksync against the rollup.
import { createPublicClient, createWalletClient, defineChain, http, parseEther, webSocket } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { publicActionsL2 } from "viem/zksync";
import { L2, WS, account, assert, matrix, network, token, until, versionOf } from "./cell.mjs";

const { cell, end } = matrix("viem", versionOf("viem"));
const chain = defineChain({
  id: network.l2.chain_id,
  name: "Cairn",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [L2], webSocket: [WS] } },
});
const client = createPublicClient({ chain, transport: http(), pollingInterval: 100, cacheTime: 0 });
const zk = client.extend(publicActionsL2());
const wallet = createWalletClient({ account: privateKeyToAccount(account(2).key), chain, transport: http() });
const friend = privateKeyToAccount(generatePrivateKey()).address;
let address;

const mined = (hash) => client.waitForTransactionReceipt({ hash, timeout: 20_000 });

await cell("transfer", async () => {
  const receipt = await mined(await wallet.sendTransaction({ to: friend, value: parseEther("0.25") }));
  assert(receipt.status === "success", "success");
  assert((await client.getBalance({ address: friend })) === parseEther("0.25"), "the friend's balance");
});

await cell("deploy and call", async () => {
  const hash = await wallet.deployContract({ abi: token.abi, bytecode: token.bytecode, args: ["Viem", "VIM", 18] });
  address = (await mined(hash)).contractAddress;
  const write = (functionName, args) => wallet.writeContract({ address, abi: token.abi, functionName, args });
  await mined(await write("mint", [wallet.account.address, 50n]));
  await mined(await write("transfer", [friend, 5n]));
  const balance = await client.readContract({ address, abi: token.abi, functionName: "balanceOf", args: [friend] });
  assert(balance === 5n, "the token balance");
});

await cell("simulate a revert", async () => {
  try {
    await client.simulateContract({
      account: wallet.account, address, abi: token.abi, functionName: "transfer", args: [friend, 10n ** 30n],
    });
  } catch (e) {
    assert(String(e).includes("ERC20InsufficientBalance"), `decoded: ${e}`);
    return;
  }
  throw new Error("it did not revert");
});

await cell("websocket: watch blocks", async () => {
  const live = createPublicClient({ chain, transport: webSocket(WS) });
  let seen;
  const stop = live.watchBlockNumber({ onBlockNumber: (n) => (seen = n) });
  // The subscription may begin after a transfer is mined: one a look until a head arrives.
  await until(async () => {
    await mined(await wallet.sendTransaction({ to: friend, value: 1n }));
    return seen;
  }, "a block number", 30);
  stop();
});

await cell("zksync: batches, details, bridge contracts", async () => {
  const hash = await wallet.sendTransaction({ to: friend, value: 1n });
  const receipt = await mined(hash);
  const details = await zk.getTransactionDetails({ txHash: hash });
  assert(details.status === "included" || details.status === "verified", details.status);
  assert(Number(await zk.getL1ChainId()) === network.l1.chain_id, "the L1's chain id");
  const contracts = await zk.getDefaultBridgeAddresses();
  assert(contracts.sharedL1.toLowerCase() === network.contracts.asset_router.toLowerCase(), "the asset router");
  const batch = await until(async () => {
    const block = await zk.getBlockDetails({ number: Number(receipt.blockNumber) });
    const newest = await zk.getL1BatchNumber();
    return BigInt(newest) >= BigInt(block.l1BatchNumber) ? block.l1BatchNumber : null;
  }, "the batch");
  const batchDetails = await zk.getL1BatchDetails({ number: Number(batch) });
  assert(Number(batchDetails.number) === Number(batch), "the batch's number");
});

end();
