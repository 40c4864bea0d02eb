// viem/zksync against the rollup.
import { createPublicClient, createWalletClient, defineChain, http, parseAbi, publicActions } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { chainConfig, getL2HashFromPriorityOp, legacyEthAddress, publicActionsL1, publicActionsL2, walletActionsL1, walletActionsL2 } from "viem/zksync";
import { L1, L2, WS, assert, matrix, network, own, token, until, versionOf } from "./cell.mjs";

const { cell, end } = matrix("viem", versionOf("viem"));
const nativeCurrency = { name: "Ether", symbol: "ETH", decimals: 18 };
const chain = defineChain({
  ...chainConfig,
  id: network.l2.chain_id,
  name: "Cairn",
  nativeCurrency,
  rpcUrls: { default: { http: [L2], webSocket: [WS] } },
});
const client = createPublicClient({ chain, transport: http(), pollingInterval: 100, cacheTime: 0 });
const zk = client.extend(publicActionsL2());
const wallet = createWalletClient({ account: privateKeyToAccount(own.key), chain, transport: http() });
const zkWallet = wallet.extend(walletActionsL2());
const l1Chain = defineChain({
  id: network.l1.chain_id, name: "L1", nativeCurrency, rpcUrls: { default: { http: [L1] } },
});
const l1 = createWalletClient({ account: wallet.account, chain: l1Chain, transport: http(), pollingInterval: 100, cacheTime: 0 })
  .extend(publicActions).extend(publicActionsL1()).extend(walletActionsL1());
const friend = privateKeyToAccount(generatePrivateKey()).address;
let l1Token;
let l2Token;

// What L1 tells of a deposit leads to its receipt on the rollup.
async function deposited(hash) {
  const receipt = await l1.waitForTransactionReceipt({ hash });
  return mined(getL2HashFromPriorityOp(receipt, network.chain.address));
}

const mined = (hash) => client.waitForTransactionReceipt({ hash, timeout: 20_000 });

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

await cell("zksync: reads", async () => {
  const same = (a, b, what) => assert(a.toLowerCase() === b.toLowerCase(), what);
  same(await zk.getBridgehubContractAddress(), network.contracts.bridgehub, "the bridgehub");
  same(await zk.getMainContractAddress(), network.chain.address, "the chain's contract");
  same(await zk.getBaseTokenL1Address(), "0x0000000000000000000000000000000000000001", "ETH as base token");
  assert((await zk.getGasPerPubdata()) > 0n, "a price of pubdata");
  const fee = await zk.estimateFee({ account: wallet.account, to: friend, value: 1n });
  assert(fee.gasLimit >= 21_000n && fee.maxFeePerGas > 0n, "a fee");
  const gas = await zk.estimateGasL1ToL2({ account: wallet.account, to: friend, value: 1n });
  assert(gas > 21_000n, "gas of a deposit");
  const balances = await zk.getAllBalances({ account: wallet.account });
  assert(balances["0x000000000000000000000000000000000000800a"] > 0n, "the balance of ETH");
  const number = Number((await mined(await wallet.sendTransaction({ to: friend, value: 1n }))).blockNumber);
  const raw = await zk.getRawBlockTransaction({ number });
  assert(raw.length > 0 && raw.some((t) => t.execute.contractAddress.toLowerCase() === friend.toLowerCase()), "the block's transactions");
  const [first, last] = await zk.getL1BatchBlockRange({ l1BatchNumber: Number(await zk.getL1BatchNumber()) });
  assert(first <= last, "the batch's blocks");
});

await cell("zksync: deposit of ETH and of an ERC-20", async () => {
  const before = await client.getBalance({ address: friend });
  const refundRecipient = wallet.account.address;
  const eth = await deposited(await l1.deposit({ client: zk, token: legacyEthAddress, amount: 1000n, to: friend, refundRecipient }));
  assert(eth.status === "success" && (await client.getBalance({ address: friend })) === before + 1000n, "the ETH arrived");
  const hash = await l1.deployContract({ abi: token.abi, bytecode: token.bytecode, args: ["Bridged", "VBR", 18] });
  l1Token = (await l1.waitForTransactionReceipt({ hash })).contractAddress;
  const mint = await l1.writeContract({ address: l1Token, abi: token.abi, functionName: "mint", args: [refundRecipient, 100n] });
  await l1.waitForTransactionReceipt({ hash: mint });
  const erc20 = await deposited(await l1.deposit({ client: zk, token: l1Token, amount: 60n, to: refundRecipient, approveToken: true, refundRecipient }));
  assert(erc20.status === "success", "the deposit of the ERC-20");
  l2Token = await zk.getL2TokenAddress({ token: l1Token });
  const balance = await client.readContract({ address: l2Token, abi: token.abi, functionName: "balanceOf", args: [refundRecipient] });
  assert(balance === 60n, "the tokens arrived");
});

await cell("zksync: requestExecute", async () => {
  const before = await client.getBalance({ address: friend });
  const hash = await l1.requestExecute({ client: zk, contractAddress: friend, calldata: "0x", l2Value: 77n, refundRecipient: wallet.account.address });
  assert((await deposited(hash)).status === "success", "success");
  assert((await client.getBalance({ address: friend })) === before + 77n, "the value arrived");
});

await cell("zksync: withdraw and finalizeWithdrawal", async () => {
  const eth = await mined(await zkWallet.withdraw({ token: legacyEthAddress, amount: 5n, to: friend }));
  const erc20 = await mined(await zkWallet.withdraw({ token: l2Token, amount: 20n }));
  await until(async () => (await client.getBlock({ blockTag: "finalized" })).number >= erc20.blockNumber, "finality");
  for (const [hash, what] of [[eth.transactionHash, "ETH"], [erc20.transactionHash, "ERC-20"]]) {
    assert(!(await l1.isWithdrawalFinalized({ client: zk, hash })), `${what} open before`);
    await l1.waitForTransactionReceipt({ hash: await l1.finalizeWithdrawal({ client: zk, hash }) });
    assert(await l1.isWithdrawalFinalized({ client: zk, hash }), `${what} finalized after`);
  }
  assert((await l1.getBalance({ address: friend })) === 5n, "the ETH on L1");
  const back = await l1.getL1TokenBalance({ token: l1Token });
  assert(back === 60n, "the tokens on L1");
});

await cell("zksync: getLogProof, proven on L1", async () => {
  const messenger = { address: "0x0000000000000000000000000000000000008008", abi: parseAbi(["function sendToL1(bytes) returns (bytes32)"]) };
  const hash = await wallet.writeContract({ ...messenger, functionName: "sendToL1", args: ["0x7669656d"] });
  const { blockNumber } = await mined(hash);
  await until(async () => (await client.getBlock({ blockTag: "finalized" })).number >= blockNumber, "finality");
  const proof = await zk.getLogProof({ txHash: hash, index: 0 });
  const { l1BatchNumber, l1BatchTxIndex } = await client.getTransactionReceipt({ hash });
  const bridgehub = parseAbi(["function proveL2MessageInclusion(uint256,uint256,uint256,(uint16,address,bytes),bytes32[]) view returns (bool)"]);
  const holds = (data) => l1.readContract({
    address: network.contracts.bridgehub, abi: bridgehub, functionName: "proveL2MessageInclusion",
    args: [BigInt(chain.id), BigInt(l1BatchNumber), BigInt(proof.id), [Number(l1BatchTxIndex), wallet.account.address, data], proof.proof],
  }).catch(() => false);
  assert(await holds("0x7669656d"), "the message is in the batch");
  assert(!(await holds("0x7669656e")), "another message is not");
});

end();
