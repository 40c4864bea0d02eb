// What Otterscan and Blockscout ask a node for, replayed: neither comes as a package. The methods are those of Otterscan's `ots_` specification and of
// Blockscout's "Node Tracing / JSON RPC Requirements"; the fields are the ones that their parsers read.
import { Contract, ContractFactory, JsonRpcProvider, Wallet } from "ethers";
import { L2, WS, assert, matrix, own, sleep, token, until } from "./cell.mjs";

const otterscan = matrix("Otterscan (its RPC calls, replayed)", "API level 8");
const blockscout = matrix("Blockscout (its RPC calls, replayed)", "variant geth");
const provider = new JsonRpcProvider(L2, undefined, { cacheTimeout: -1 });
const wallet = new Wallet(own.key, provider);
const hex = (n) => "0x" + n.toString(16);
const QUANTITY = /^0x(0|[1-9a-f][0-9a-f]*)$/;
const HASH = /^0x[0-9a-f]{64}$/;
const DATA = /^0x([0-9a-f]{2})*$/;
const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
const ask = (method, ...params) => provider.send(method, params);

// Whether an object has these fields, each of its form.
function has(object, fields, what) {
  for (const [name, form] of Object.entries(fields)) {
    const value = object?.[name];
    const good = form instanceof RegExp ? typeof value === "string" && form.test(value) : typeof form === "function" ? form(value) : typeof value === form;
    assert(good, `${what}.${name} is ${JSON.stringify(value)}`);
  }
}
const orNull = (form) => (v) => v === null || form.test(v);
const BLOCK = {
  number: QUANTITY, hash: HASH, parentHash: HASH, nonce: DATA, sha3Uncles: HASH, logsBloom: DATA, transactionsRoot: HASH, stateRoot: HASH,
  receiptsRoot: HASH, miner: ADDRESS, difficulty: QUANTITY, extraData: DATA, size: QUANTITY, gasLimit: QUANTITY, gasUsed: QUANTITY,
  timestamp: QUANTITY, uncles: Array.isArray, mixHash: HASH, baseFeePerGas: QUANTITY,
};
const HEADER = Object.fromEntries(Object.entries(BLOCK).filter(([name]) => name !== "uncles" && name !== "size"));
const TRANSACTION = {
  blockHash: HASH, blockNumber: QUANTITY, from: ADDRESS, gas: QUANTITY, gasPrice: QUANTITY, hash: HASH, input: DATA, nonce: QUANTITY,
  to: orNull(ADDRESS), transactionIndex: QUANTITY, type: QUANTITY, value: QUANTITY, chainId: QUANTITY, r: QUANTITY, s: QUANTITY, v: QUANTITY,
};
const RECEIPT = {
  blockHash: HASH, blockNumber: QUANTITY, contractAddress: orNull(ADDRESS), cumulativeGasUsed: QUANTITY, effectiveGasPrice: QUANTITY, from: ADDRESS,
  gasUsed: QUANTITY, logs: Array.isArray, logsBloom: DATA, status: QUANTITY, to: orNull(ADDRESS), transactionHash: HASH, transactionIndex: QUANTITY, type: QUANTITY,
};
const LOG = {
  address: ADDRESS, blockHash: HASH, blockNumber: QUANTITY, data: DATA, logIndex: QUANTITY, topics: Array.isArray, transactionHash: HASH,
  transactionIndex: QUANTITY, removed: "boolean",
};

// A token, a transfer of it, a transfer that fails, and ETH to an address of its own.
const deployed = await (await new ContractFactory(token.abi, token.bytecode, wallet).deploy("Otter", "OTT", 18)).waitForDeployment();
const at = await deployed.getAddress();
const creation = await deployed.deploymentTransaction().wait();
await (await deployed.mint(wallet.address, 100n)).wait();
const friend = Wallet.createRandom().address;
const moved = await (await deployed.transfer(friend, 5n)).wait();
const failing = await wallet.sendTransaction({ to: at, data: deployed.interface.encodeFunctionData("transfer", [friend, 10n ** 30n]), gasLimit: 200_000n });
const failed = await until(() => provider.send("eth_getTransactionReceipt", [failing.hash]), "the failed transaction", 20);
const paid = await (await wallet.sendTransaction({ to: friend, value: 9n })).wait();
// A call inside a call: Multicall3 passes on value.
const multicall = new Contract("0xcA11bde05977b3631167028862bE2a173976CA11", ["function aggregate3Value(tuple(address target,bool allowFailure,uint256 value,bytes callData)[]) payable returns (tuple(bool,bytes)[])"], wallet);
const inner = await (await multicall.aggregate3Value([[friend, false, 3n, "0x"]], { value: 3n })).wait();

await otterscan.cell("node check: API level, header, chain", async () => {
  assert((await ask("ots_getApiLevel")) >= 8, "the API level");
  has(await ask("erigon_getHeaderByNumber", "0x1"), HEADER, "header");
  assert(QUANTITY.test(await ask("eth_chainId")) && QUANTITY.test(await ask("eth_blockNumber")), "the chain");
  has(await ask("eth_getBlockByNumber", "finalized", false), BLOCK, "block");
});

await otterscan.cell("a block and its transactions", async () => {
  const details = await ask("ots_getBlockDetails", hex(moved.blockNumber));
  has(details.block, { ...HEADER, transactionCount: (n) => Number(n) >= 1, logsBloom: (v) => v === null }, "block");
  has(details, { totalFees: QUANTITY, issuance: "object" }, "details");
  has(details.issuance, { blockReward: QUANTITY, uncleReward: QUANTITY, issuance: QUANTITY }, "issuance");
  const same = await ask("ots_getBlockDetailsByHash", moved.blockHash);
  assert(same.block.hash === details.block.hash, "the same by hash");
  const page = await ask("ots_getBlockTransactions", moved.blockNumber, 0, 25);
  const shown = page.fullblock.transactions.find((t) => t.hash === moved.hash);
  has(shown, { ...TRANSACTION, input: /^0xa9059cbb$/ }, "transaction");
  has(page.receipts.find((r) => r.transactionHash === moved.hash), { status: QUANTITY, gasUsed: QUANTITY, logs: (v) => v === null, logsBloom: (v) => v === null }, "receipt");
});

await otterscan.cell("a transaction: calls, internal operations, failure", async () => {
  const calls = await ask("ots_traceTransaction", inner.hash);
  for (const call of calls) has(call, { type: "string", depth: "number", from: ADDRESS, to: ADDRESS, input: DATA, output: DATA }, "call");
  assert(calls.some((c) => c.depth === 1 && c.to.toLowerCase() === friend.toLowerCase() && c.value === "0x3"), "the inner call");
  const operations = await ask("ots_getInternalOperations", inner.hash);
  assert(operations.length === 1 && operations[0].type === 0 && operations[0].value === "0x3", "the movement of ETH");
  has(operations[0], { from: ADDRESS, to: ADDRESS, value: QUANTITY }, "operation");
  assert((await ask("ots_getTransactionError", failed.transactionHash)).startsWith("0xe450d38c"), "ERC20InsufficientBalance");
  assert((await ask("ots_getTransactionError", moved.hash)) === "0x", "none of a success");
});

await otterscan.cell("an address: search both ways, code, creator, nonce", async () => {
  assert((await ask("ots_hasCode", at, "latest")) === true && (await ask("ots_hasCode", friend, "latest")) === false, "code");
  const creator = await ask("ots_getContractCreator", at);
  assert(creator.hash === creation.hash && creator.creator.toLowerCase() === wallet.address.toLowerCase(), "the creator");
  assert((await ask("ots_getTransactionBySenderAndNonce", wallet.address, failing.nonce)) === failing.hash, "by nonce");
  const find = async () => {
    const page = await ask("ots_searchTransactionsBefore", friend, 0, 25);
    return page.txs.some((t) => t.hash === paid.hash) && page;
  };
  const newest = await until(find, "the index", 20);
  has(newest, { txs: Array.isArray, receipts: Array.isArray, firstPage: (v) => v === true, lastPage: "boolean" }, "page");
  has(newest.receipts[0], { timestamp: QUANTITY, status: QUANTITY, gasUsed: QUANTITY }, "receipt");
  const oldest = await ask("ots_searchTransactionsAfter", friend, 0, 25);
  assert(oldest.lastPage === true && oldest.txs.some((t) => t.hash === moved.hash), "from the oldest on");
});

await blockscout.cell("blocks, transactions, receipts, logs", async () => {
  const block = await ask("eth_getBlockByNumber", hex(moved.blockNumber), true);
  has(block, { ...BLOCK, transactions: Array.isArray }, "block");
  for (const t of block.transactions.filter((t) => Number(t.type) < 5)) has(t, TRANSACTION, "transaction");
  assert((await ask("eth_getBlockByHash", block.hash, false)).transactions.every((t) => HASH.test(t)), "by hash");
  const at0 = [await ask("eth_getTransactionByBlockHashAndIndex", block.hash, "0x0"), await ask("eth_getTransactionByBlockNumberAndIndex", block.number, "0x0")];
  assert(at0.every((t) => t.hash === block.transactions[0].hash), "by place");
  has(await ask("eth_getTransactionByHash", moved.hash), TRANSACTION, "transaction");
  const receipts = await ask("eth_getBlockReceipts", block.number);
  for (const r of [...receipts, await ask("eth_getTransactionReceipt", moved.hash)]) has(r, RECEIPT, "receipt");
  const logs = await ask("eth_getLogs", { fromBlock: block.number, toBlock: block.number });
  assert(logs.length > 0, "logs");
  for (const log of logs) has(log, LOG, "log");
  assert((await ask("eth_getUncleByBlockHashAndIndex", block.hash, "0x0")) === null, "no uncles");
  assert((await ask("eth_getBlockByNumber", hex(10 ** 9), true)) === null, "a block that is not there yet");
});

await blockscout.cell("state of the past, code, token calls, in one batch", async () => {
  const calls = [
    ["eth_getBalance", friend, hex(paid.blockNumber)], ["eth_getBalance", friend, hex(paid.blockNumber - 1)], ["eth_getCode", at, "latest"],
    ["eth_call", { to: at, data: "0x313ce567" }, hex(moved.blockNumber)], ["eth_getTransactionCount", wallet.address, "latest"],
    ["eth_getStorageAt", at, "0x0", "latest"],
  ];
  const body = JSON.stringify(calls.map(([method, ...params], id) => ({ jsonrpc: "2.0", id, method, params })));
  const response = await fetch(L2, { method: "POST", headers: { "content-type": "application/json" }, body });
  const answers = (await response.json()).sort((a, b) => a.id - b.id).map((a) => a.result);
  assert(BigInt(answers[0]) - BigInt(answers[1]) === 9n, "the balance then and before");
  assert(answers[2].length > 2 && BigInt(answers[3]) === 18n && BigInt(answers[4]) > 0n && HASH.test(answers[5]), "the rest");
});

await blockscout.cell("internal transactions by callTracer", async () => {
  const options = { tracer: "callTracer", timeout: "60s" };
  const FRAME = { type: "string", from: ADDRESS, to: ADDRESS, gas: QUANTITY, gasUsed: QUANTITY, input: DATA };
  const trace = await ask("debug_traceTransaction", inner.hash, options);
  has(trace, { ...FRAME, value: QUANTITY, calls: Array.isArray }, "frame");
  has(trace.calls[0], { ...FRAME, value: /^0x3$/ }, "frame");
  const block = await ask("debug_traceBlockByNumber", hex(inner.blockNumber), options);
  assert(block.some((t) => t.txHash === inner.hash && t.result.calls.length === 1), "by block");
  const bad = await ask("debug_traceTransaction", failed.transactionHash, options);
  has(bad, { ...FRAME, error: /revert/, output: DATA }, "failed frame");
  const made = await ask("debug_traceTransaction", creation.hash, options);
  has(made, { ...FRAME, type: /^CREATE$/, output: DATA }, "creation");
});

await blockscout.cell("the pool, and new heads by WebSocket", async () => {
  // Behind a gap, so that it waits.
  const nonce = (await provider.getTransactionCount(wallet.address)) + 1;
  const waiting = await wallet.sendTransaction({ to: friend, value: 1n, nonce, gasLimit: 21_000n });
  const pool = await ask("txpool_content");
  const found = Object.values(pool.queued).flatMap(Object.values).find((t) => t.hash === waiting.hash);
  has(found, { from: ADDRESS, gas: QUANTITY, gasPrice: QUANTITY, hash: HASH, input: DATA, nonce: QUANTITY, to: ADDRESS, value: QUANTITY, blockHash: (v) => v === null }, "waiting");
  const { WebSocketProvider } = await import("ethers");
  const live = new WebSocketProvider(WS);
  const heads = [];
  await live.send("eth_subscribe", ["newHeads"]);
  live.on("block", (n) => heads.push(n));
  await sleep(200);
  await wallet.sendTransaction({ to: friend, value: 1n, nonce: nonce - 1 });
  await until(() => heads.length > 0, "a head", 20);
  await live.destroy();
});

blockscout.end();
