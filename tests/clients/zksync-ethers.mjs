// zksync-ethers v6: the bridge both ways, as its documentation shows it.
import { BrowserProvider, Contract, ContractFactory, JsonRpcProvider, Wallet as EthersWallet, keccak256, parseEther } from "ethers";
import { L1Signer, Provider, Wallet, utils } from "zksync-ethers";
import { L1, L2, account, assert, matrix, network, own, token, until, versionOf } from "./cell.mjs";

const { cell, end } = matrix("zksync-ethers", versionOf("zksync-ethers"));
const l1 = new JsonRpcProvider(L1, undefined, { cacheTimeout: -1 });
const l2 = new Provider(L2, undefined, { cacheTimeout: -1 });
const wallet = new Wallet(own.key, l2, l1);
let erc20;
let withdrawal;

await cell("provider reads", async () => {
  assert((await l2.getBridgehubContractAddress()).toLowerCase() === network.contracts.bridgehub.toLowerCase(), "the bridgehub");
  assert((await l2.l1ChainId()) === network.l1.chain_id, "the L1's chain id");
  assert((await wallet.getBalance()) > 0n, "a balance");
});

await cell("provider: contracts, fees, protocol", async () => {
  const same = (a, b, what) => assert(a.toLowerCase() === b.toLowerCase(), what);
  same(await l2.getMainContractAddress(), network.chain.address, "the chain's contract");
  same(await l2.getBaseTokenContractAddress(), utils.ETH_ADDRESS_IN_CONTRACTS, "the base token");
  same((await l2.getDefaultBridgeAddresses()).sharedL1, network.contracts.asset_router, "the asset router");
  assert(await l2.isEthBasedChain(), "ETH is the base token");
  assert((await l2.getGasPrice()) > 0n, "a gas price");
  assert((await l2.getFeeParams()).V2.config.minimal_l2_gas_price > 0, "fee parameters");
  assert((await l2.getProtocolVersion()).version_id > 0, "a protocol version");
  const fee = await l2.estimateFee({ from: wallet.address, to: account(5).address, value: 1n });
  assert(BigInt(fee.gasLimit) >= 21000n && BigInt(fee.maxFeePerGas) > 0n, "a fee");
  const gas = await l2.estimateGasL1({ from: wallet.address, to: account(5).address, value: 1n });
  assert(gas > 21000n, "gas of an L1 transaction");
});

await cell("provider: every zks_ method answers", async () => {
  const head = "0x" + (await l2.getBlockNumber()).toString(16);
  const call = { from: wallet.address, to: account(5).address, value: "0x1" };
  const methods = {
    zks_L1BatchNumber: [], zks_L1ChainId: [], zks_estimateFee: [call], zks_estimateGasL1ToL2: [call], zks_gasPerPubdata: [],
    zks_getAllAccountBalances: [wallet.address], zks_getBaseTokenL1Address: [], zks_getBlockDetails: [1], zks_getBlockMetadataByNumber: [1],
    zks_getBridgeContracts: [], zks_getBridgehubContract: [], zks_getBytecodeByHash: ["0x" + "11".repeat(32)], zks_getBytecodeSupplierContract: [],
    zks_getConfirmedTokens: [0, 10], zks_getFeeParams: [], zks_getGenesis: [], zks_getL1BatchBlockRange: [0], zks_getL1BatchDetails: [0],
    zks_getL2ToL1LogProof: ["0x" + "11".repeat(32), 0], zks_getMainContract: [], zks_getProtocolVersion: [],
    zks_getRawBlockTransactions: [Number(head)], zks_getTestnetPaymaster: [], zks_getTransactionDetails: ["0x" + "11".repeat(32)],
  };
  const missing = [];
  for (const [method, params] of Object.entries(methods)) {
    try {
      await l2.send(method, params);
    } catch (e) {
      if (JSON.stringify(e.error ?? e.info ?? String(e)).includes("-32601")) missing.push(method);
      else throw new Error(`${method}: ${e}`);
    }
  }
  assert(missing.length === 0, `all are served, not without ${missing}`);
});

await cell("deposit of ETH", async () => {
  const before = await wallet.getBalance();
  const deposit = await wallet.deposit({ token: utils.ETH_ADDRESS, amount: parseEther("1") });
  await deposit.wait();
  assert((await wallet.getBalance()) >= before + parseEther("1"), "the deposit arrived");
});

await cell("deposit of an ERC-20", async () => {
  const factory = new ContractFactory(token.abi, token.bytecode, wallet._signerL1());
  erc20 = await (await factory.deploy("Bridged", "BRG", 18)).waitForDeployment();
  await (await erc20.mint(wallet.address, 1000n)).wait();
  const deposit = await wallet.deposit({
    token: await erc20.getAddress(), amount: 600n, approveERC20: true,
  });
  await deposit.wait();
  const l2Token = await wallet.l2TokenAddress(await erc20.getAddress());
  assert((await wallet.getBalance(l2Token)) === 600n, "the tokens arrived");
});

await cell("transfer of type 2", async () => {
  const tx = await wallet.sendTransaction({ to: account(5).address, value: 5n, type: 2 });
  assert((await tx.wait()).status === 1, "success");
});

await cell("withdrawal", async () => {
  const l2Token = await wallet.l2TokenAddress(await erc20.getAddress());
  const bridge = await l2.getDefaultBridgeAddresses();
  const tx = await wallet.withdraw({
    token: l2Token, amount: 100n, to: wallet.address, bridgeAddress: bridge.sharedL2, overrides: { type: 2 },
  });
  withdrawal = await tx.wait();
  assert(withdrawal.status === 1, "success");
});

await cell("finalizeWithdrawal", async () => {
  await until(async () => (await l2.getBlock("finalized")).number >= withdrawal.blockNumber, "finality");
  assert(!(await wallet.isWithdrawalFinalized(withdrawal.hash)), "open before");
  await (await wallet.finalizeWithdrawal(withdrawal.hash)).wait();
  assert(await wallet.isWithdrawalFinalized(withdrawal.hash), "finalized after");
  assert((await erc20.balanceOf(wallet.address)) === 500n, "the tokens are back on L1");
});

await cell("transfer with Wallet.transfer", async () => {
  const l2Token = await wallet.l2TokenAddress(await erc20.getAddress());
  const friend = EthersWallet.createRandom().address;
  await (await wallet.transfer({ to: friend, amount: 3n, overrides: { type: 2 } })).wait();
  await (await wallet.transfer({ to: friend, token: l2Token, amount: 4n, overrides: { type: 2 } })).wait();
  assert((await l2.getBalance(friend)) === 3n, "the ETH");
  assert((await l2.getBalance(friend, "latest", l2Token)) === 4n, "the tokens");
  const balances = await l2.getAllAccountBalances(friend);
  assert(balances[l2Token] === 4n || balances[l2Token.toLowerCase()] === 4n, "in the list of balances");
});

await cell("details of transactions, blocks and batches", async () => {
  const tx = await wallet.sendTransaction({ to: account(5).address, value: 1n, type: 2 });
  const receipt = await tx.wait();
  const details = await l2.getTransactionDetails(tx.hash);
  assert(details.initiatorAddress.toLowerCase() === wallet.address.toLowerCase(), "the initiator");
  const block = await l2.getBlockDetails(receipt.blockNumber);
  assert(block.number === receipt.blockNumber, "the block");
  const raw = await l2.getRawBlockTransactions(receipt.blockNumber);
  assert(raw.length >= 1, "raw transactions");
  const sealed = await until(async () => {
    const { l1BatchNumber } = await l2.getTransactionReceipt(tx.hash);
    return l1BatchNumber !== null && l1BatchNumber;
  }, "the batch");
  const [first, last] = await l2.getL1BatchBlockRange(sealed);
  assert(first <= receipt.blockNumber && receipt.blockNumber <= last, "the batch's blocks");
  assert((await l2.getL1BatchDetails(sealed)).number === sealed, "the batch");
  const whole = await l2.getBlock(receipt.blockNumber, true);
  assert(whole.l1BatchNumber === sealed && whole.prefetchedTransactions.length >= 1, "the block's own fields");
});

await cell("storage proofs", async () => {
  const code = await l2.getCode(utils.L2_BASE_TOKEN_ADDRESS);
  const slot = "0x" + "00".repeat(32);
  // Batches are sealed meanwhile, and proofs are against the newest.
  const proof = await until(async () => {
    try {
      return await l2.getProof(utils.L2_BASE_TOKEN_ADDRESS, [slot], await l2.getL1BatchNumber());
    } catch {
      return null;
    }
  }, "a proof");
  assert(code.length > 2 && proof.address.toLowerCase() === utils.L2_BASE_TOKEN_ADDRESS.toLowerCase(), "the account");
  assert(proof.storageProof.length === 1 && proof.storageProof[0].proof.length > 16, "siblings up to the root");
  assert(proof.storageProof[0].key === slot, "the key");
});

await cell("bytecode by hash", async () => {
  const code = await l2.getCode(await l2.getDefaultBridgeAddresses().then((b) => b.sharedL2));
  const found = await l2.getBytecodeByHash(keccak256(code));
  assert(found.length === (code.length - 2) / 2, "the bridge's code");
});

await cell("message to L1, proven on L1", async () => {
  const messenger = new Contract(utils.L1_MESSENGER_ADDRESS, utils.L1_MESSENGER, wallet);
  const tx = await messenger.sendToL1("0x68656c6c6f", { type: 2 });
  const receipt = await tx.wait();
  const ready = async () => {
    const proof = await l2.getLogProof(tx.hash);
    const current = await l2.getTransactionReceipt(tx.hash);
    return proof && (await l2.getL1BatchDetails(current.l1BatchNumber)).executeTxHash && [proof, current];
  };
  const [proof, { l1BatchNumber, l1BatchTxIndex }] = await until(ready, "the batch's execution");
  const bridgehub = await wallet.getBridgehubContract();
  const message = { txNumberInBatch: l1BatchTxIndex, sender: wallet.address, data: "0x68656c6c6f" };
  const chain = network.l2.chain_id;
  const holds = (m) => bridgehub.proveL2MessageInclusion(chain, l1BatchNumber, proof.id, m, proof.proof);
  assert(await holds(message), "the message is in the batch");
  let forged = false;
  try {
    forged = await holds({ ...message, data: "0x68656c6c70" });
  } catch {
    // Refused by an error is refused.
  }
  assert(!forged && receipt.status === 1, "another message is not");
});

await cell("L1Signer through an EIP-1193 wallet", async () => {
  const eip1193 = { request: ({ method, params }) => l1.send(method, params ?? []) };
  const browser = new BrowserProvider(eip1193, undefined, { cacheTimeout: -1 });
  const signer = L1Signer.from(await browser.getSigner(wallet.address), l2);
  const friend = EthersWallet.createRandom().address;
  await (await signer.deposit({ token: utils.ETH_ADDRESS, amount: 7n, to: friend })).wait();
  assert((await l2.getBalance(friend)) === 7n, "the deposit arrived");
});

await cell("claimFailedDeposit", async () => {
  const before = await erc20.balanceOf(wallet.address);
  // Too little gas for the rollup to mint with: the operation fails there.
  const deposit = await wallet.deposit({
    token: await erc20.getAddress(), amount: 50n, approveERC20: true, l2GasLimit: 60_000n,
  });
  const { hash } = await l2.getL2TransactionFromPriorityOp(await l1.getTransaction(deposit.hash));
  const failed = await until(() => l2.getTransactionReceipt(hash), "the receipt");
  assert(failed.status === 0, "the deposit failed");
  await until(async () => (await l2.getBlock("finalized")).number >= failed.blockNumber, "finality");
  await (await wallet.claimFailedDeposit(hash)).wait();
  assert((await erc20.balanceOf(wallet.address)) === before, "the tokens are back");
});

end();
