// viem's test client, made for anvil, against L1s: development methods.
import { createTestClient, defineChain, http, numberToHex, parseEther, publicActions, walletActions } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { CHAIN_ID, RPC, assert, matrix, own, rejected, token, until, versionOf } from "./cell.mjs";

const { cell, end } = matrix("viem (test client)", versionOf("viem"));
const chain = defineChain({
  id: CHAIN_ID,
  name: "L1",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [RPC] } },
});
const account = privateKeyToAccount(own.key);
const client = createTestClient({ mode: "anvil", account, chain, transport: http(), pollingInterval: 50, cacheTime: 0 })
  .extend(publicActions).extend(walletActions);
const somebody = () => privateKeyToAccount(generatePrivateKey()).address;
const mined = (hash) => client.waitForTransactionReceipt({ hash, timeout: 20_000 });
const head = () => client.getBlock();
const balance = (address) => client.getBalance({ address });

await cell("set balance, nonce, code and storage", async () => {
  const address = somebody();
  await client.setBalance({ address, value: 42n });
  await client.setNonce({ address, nonce: 7 });
  // Returns its first slot.
  await client.setCode({ address, bytecode: "0x60005460005260206000f3" });
  const word = `0x${"00".repeat(31)}2a`;
  await client.setStorageAt({ address, index: 0, value: word });
  assert((await balance(address)) === 42n, "the balance");
  assert((await client.getTransactionCount({ address })) === 7, "the nonce");
  assert((await client.getStorageAt({ address, slot: "0x0" })) === word, "the slot");
  assert((await client.call({ to: address })).data === word, "the code runs on the slot");
});

await cell("impersonation", async () => {
  const [address, to] = [somebody(), somebody()];
  await client.setBalance({ address, value: parseEther("1") });
  const pay = () => client.sendTransaction({ account: address, to, value: 5n });
  await rejected(pay, "an unknown account's transaction");
  await client.impersonateAccount({ address });
  const receipt = await mined(await pay());
  assert(receipt.status === "success" && receipt.from.toLowerCase() === address.toLowerCase(), "sent in its name");
  assert((await balance(to)) === 5n, "the payment");
  await client.stopImpersonatingAccount({ address });
  await rejected(pay, "its transaction afterwards");
});

await cell("snapshot and revert", async () => {
  const [to, { number }] = [somebody(), await head()];
  const nonce = await client.getTransactionCount({ address: account.address });
  const id = await client.snapshot();
  const { transactionHash: hash } = await mined(await client.sendTransaction({ to, value: 5n }));
  await client.revert({ id });
  assert((await balance(to)) === 0n && (await head()).number === number, "state and head are as before");
  assert((await client.getTransactionCount({ address: account.address })) === nonce, "the nonce is as before");
  await rejected(() => client.getTransactionReceipt({ hash }), "a receipt of what was undone");
  await mined(await client.sendTransaction({ to, value: 6n }));
  assert((await balance(to)) === 6n, "the chain goes on");
});

await cell("mining by hand, the pool, dropped transactions", async () => {
  assert(await client.getAutomine(), "automine at first");
  await client.setAutomine(false);
  try {
    const [to, { number }] = [somebody(), await head()];
    const nonce = await client.getTransactionCount({ address: account.address });
    const kept = await client.sendTransaction({ to, value: 1n, nonce, gas: 21_000n });
    const dropped = await client.sendTransaction({ to, value: 2n, nonce: nonce + 1, gas: 21_000n });
    assert((await client.getTxpoolStatus()).pending === 2, "two wait");
    assert((await client.getTransactionCount({ address: account.address, blockTag: "pending" })) === nonce + 2, "the pending nonce");
    const content = await client.getTxpoolContent();
    const mine = Object.entries(content.pending).find(([from]) => from.toLowerCase() === account.address.toLowerCase());
    assert(mine?.[1][nonce]?.hash === kept, "the pool's content");
    await client.dropTransaction({ hash: dropped });
    await client.mine({ blocks: 1 });
    const block = await head();
    assert(block.number === number + 1n && block.transactions.length === 1 && block.transactions[0] === kept, "one is mined");
    assert((await balance(to)) === 1n && (await client.getTxpoolStatus()).pending === 0, "the other is gone");
  } finally {
    await client.setAutomine(true);
  }
});

await cell("mining many blocks, and by the clock", async () => {
  const { number } = await head();
  await client.mine({ blocks: 5, interval: 10 });
  const [before, last] = [await client.getBlock({ blockNumber: number + 4n }), await head()];
  assert(last.number === number + 5n && last.timestamp === before.timestamp + 10n, "five, ten seconds apart");
  // Not the client's own `setIntervalMining`: it calls `evm_setIntervalMining`, which counts in seconds on anvil and, as Hardhat's does, in
  // milliseconds on the embedded L1.
  const every = (seconds) => client.request({ method: "anvil_setIntervalMining", params: [seconds] });
  await every(1);
  await until(async () => (await head()).number > last.number, "a block by the clock", 10);
  assert((await client.request({ method: "anvil_getIntervalMining" })) === 1, "the interval");
  await every(0);
  await client.setAutomine(true);
});

await cell("time", async () => {
  const mine = async () => {
    await client.mine({ blocks: 1 });
    return (await head()).timestamp;
  };
  const first = await mine();
  await client.increaseTime({ seconds: 3600 });
  const second = await mine();
  // Blocks that are mined within one second run ahead of the clock.
  assert(second > first + 3540n && second < first + 3660n, `an hour later: ${second - first}`);
  await client.setNextBlockTimestamp({ timestamp: second + 777n });
  assert((await mine()) === second + 777n, "the timestamp asked for");
  await client.setBlockTimestampInterval({ interval: 12 });
  const third = await mine();
  assert((await mine()) === third + 12n, "twelve seconds a block");
  await client.removeBlockTimestampInterval();
  await rejected(() => client.setNextBlockTimestamp({ timestamp: 1n }), "a time in the past");
});

await cell("base fee, coinbase, gas limit", async () => {
  const miner = somebody();
  await client.setNextBlockBaseFeePerGas({ baseFeePerGas: 3_000_000_000n });
  await client.setCoinbase({ address: miner });
  await client.setBlockGasLimit({ gasLimit: 20_000_000n });
  await client.mine({ blocks: 1 });
  const block = await head();
  assert(block.baseFeePerGas === 3_000_000_000n, `the base fee: ${block.baseFeePerGas}`);
  assert(block.miner.toLowerCase() === miner.toLowerCase(), `the coinbase: ${block.miner}`);
  assert(block.gasLimit === 20_000_000n, `the gas limit: ${block.gasLimit}`);
});

await cell("dump and load state", async () => {
  const address = somebody();
  await client.setBalance({ address, value: 9n });
  const dump = await client.dumpState();
  await client.setBalance({ address, value: 1n });
  await client.loadState({ state: dump });
  assert((await balance(address)) === 9n, "the balance of the dump");
});

await cell("proofs, access lists, fee history", async () => {
  const hash = await client.deployContract({ abi: token.abi, bytecode: token.bytecode, args: ["Dev", "DEV", 18] });
  const { contractAddress: address, blockNumber } = await mined(hash);
  await mined(await client.writeContract({ address, abi: token.abi, functionName: "mint", args: [account.address, 5n] }));
  const proof = await client.getProof({ address, storageKeys: [numberToHex(2, { size: 32 })] });
  assert(proof.accountProof.length > 0 && proof.storageProof[0].proof.length > 0 && proof.storageProof[0].value === 5n, "a proof of the supply");
  const { accessList } = await client.createAccessList({ to: address, data: "0x18160ddd" });
  assert(accessList.some((e) => e.address.toLowerCase() === address.toLowerCase() && e.storageKeys.length === 1), "the supply's slot");
  const fees = await client.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] });
  assert(fees.baseFeePerGas.length === 3 && fees.reward.length === 2, "two blocks and the next");
  const at = await client.getCode({ address, blockNumber: blockNumber - 1n });
  assert(at === undefined, "no code a block before");
});

await cell("callTracer", async () => {
  const to = somebody();
  const { transactionHash } = await mined(await client.sendTransaction({ to, value: 5n }));
  const trace = await client.request({ method: "debug_traceTransaction", params: [transactionHash, { tracer: "callTracer" }] });
  assert(trace.type === "CALL" && trace.to.toLowerCase() === to.toLowerCase() && BigInt(trace.value) === 5n, JSON.stringify(trace));
});

await cell("unknown methods and bad parameters", async () => {
  const code = async (method, params) => {
    const e = await rejected(() => client.request({ method, params }, { retryCount: 0 }), method);
    return e.code;
  };
  assert((await code("anvil_noSuchMethod", [])) === -32601, "method not found");
  assert((await code("eth_getBalance", ["nonsense", "latest"])) === -32602, "invalid parameters");
});

end();
