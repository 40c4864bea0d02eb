// zksync-ethers v6, account abstraction: transactions of type 0x71 from plain and smart accounts, and paymasters.
import { Contract, ContractFactory, Wallet as EthersWallet, ZeroAddress, getBytes, parseEther } from "ethers";
import { BrowserProvider, ECDSASmartAccount, MultisigECDSASmartAccount, Provider, Signer, SmartAccount, Wallet, types, utils } from "zksync-ethers";
import { L2, assert, matrix, own, sleep, token, versionOf } from "./cell.mjs";
import { artifact, passkey } from "./aa.mjs";

const { cell, end } = matrix("zksync-ethers", versionOf("zksync-ethers"));
const l2 = new Provider(L2, undefined, { cacheTimeout: -1 });
const wallet = new Wallet(own.key, l2);
const friend = EthersWallet.createRandom().address;
let sponsor;
let tokens;
let erc20Paymaster;
let moved;
let gasless;

// Plain EVM bytecode goes the plain way: zksync-ethers' own factory wants EraVM bytecode.
async function deploy(name, ...args) {
  const { abi, bytecode } = artifact(name);
  const contract = await new ContractFactory(abi, bytecode, wallet).deploy(...args, { type: 2 });
  return contract.waitForDeployment();
}

const fields = "uint256 txType,uint256 from,uint256 to,uint256 gasLimit,uint256 gasPerPubdataByteLimit,uint256 maxFeePerGas,uint256 maxPriorityFeePerGas,uint256 paymaster,uint256 nonce,uint256 value,bytes data,bytes32[] factoryDeps,bytes paymasterInput";
const TRANSACTION = { Transaction: fields.split(",").map((f) => ({ type: f.split(" ")[0], name: f.split(" ")[1] })) };

async function refused(promise, what) {
  try {
    await promise;
  } catch (e) {
    const text = JSON.stringify(e, (_, v) => (typeof v === "bigint" ? String(v) : v)) + String(e);
    assert(text.includes(what), `"${what}" is said, not ${text}`);
    return;
  }
  throw new Error(`not refused: ${what}`);
}

await cell("0x71: transfer of the default type", async () => {
  const before = await l2.getBalance(wallet.address);
  const tx = await wallet.sendTransaction({ to: friend, value: 5n });
  const receipt = await tx.wait();
  assert(receipt.status === 1 && receipt.type === utils.EIP712_TX_TYPE, "a transaction of type 0x71");
  assert((await l2.getBalance(friend)) === 5n, "the friend's balance");
  const found = await l2.getTransaction(tx.hash);
  assert(found.from === wallet.address && found.type === utils.EIP712_TX_TYPE && found.to === friend, "its fields");
  assert((await l2.getBalance(wallet.address)) === before - 5n - receipt.gasUsed * receipt.gasPrice, "the fee");
  assert(receipt.gasUsed === 21000n, `the gas of an ordinary transfer, not ${receipt.gasUsed}`);
});

await cell("0x71: estimateGas and estimateFee", async () => {
  const request = { from: wallet.address, to: friend, value: 1n, customData: { gasPerPubdata: utils.DEFAULT_GAS_PER_PUBDATA_LIMIT } };
  assert((await l2.estimateGas(request)) >= 21000n, "gas");
  const fee = await l2.estimateFee({ ...request, type: utils.EIP712_TX_TYPE });
  assert(fee.gasLimit >= 21000n && fee.maxFeePerGas > 0n, "a fee");
});

await cell("0x71: a sponsor pays for an account without ether", async () => {
  sponsor = await deploy("SponsorPaymaster", wallet.address, parseEther("1"));
  const at = await sponsor.getAddress();
  await (await wallet.sendTransaction({ to: at, value: parseEther("0.5") })).wait();
  const poor = new Wallet(EthersWallet.createRandom().privateKey, l2);
  const tokenContract = await new ContractFactory(token.abi, token.bytecode, wallet).deploy("Gasless", "GLS", 18, { type: 2 });
  tokens = await tokenContract.waitForDeployment();
  const paymasterParams = utils.getPaymasterParams(at, { type: "General", innerInput: "0x" });
  const asPoor = new Contract(await tokens.getAddress(), token.abi, poor);
  const tx = await asPoor.mint(poor.address, 70n, { customData: { gasPerPubdata: utils.DEFAULT_GAS_PER_PUBDATA_LIMIT, paymasterParams } });
  const receipt = await tx.wait();
  assert(receipt.status === 1, "success");
  gasless = receipt.hash;
  assert((await tokens.balanceOf(poor.address)) === 70n, "the tokens");
  assert((await l2.getBalance(poor.address)) === 0n, "nothing paid");
});

await cell("0x71: a fee paid in a token", async () => {
  erc20Paymaster = await deploy("ERC20Paymaster", wallet.address);
  const at = await erc20Paymaster.getAddress();
  const fee = await tokens.getAddress();
  await (await erc20Paymaster.setRate(fee, parseEther("1000"), { type: 2 })).wait();
  await (await wallet.sendTransaction({ to: at, value: parseEther("0.5") })).wait();
  const poor = new Wallet(EthersWallet.createRandom().privateKey, l2);
  await (await tokens.mint(poor.address, parseEther("100"), { type: 2 })).wait();
  const paymasterParams = utils.getPaymasterParams(at, {
    type: "ApprovalBased", token: fee, minimalAllowance: parseEther("100"), innerInput: new Uint8Array(),
  });
  const customData = { gasPerPubdata: utils.DEFAULT_GAS_PER_PUBDATA_LIMIT, paymasterParams };
  const receipt = await (await poor.sendTransaction({ to: friend, value: 0n, customData })).wait();
  assert(receipt.status === 1, "success");
  const paid = parseEther("100") - (await tokens.balanceOf(poor.address));
  const cost = receipt.gasUsed * receipt.gasPrice * 1000n;
  assert(paid >= cost && paid < 3n * cost, `about the cost: ${paid} for ${cost}`);
  // Without the allowance it is refused, and the paymaster's own words come back.
  customData.paymasterParams = utils.getPaymasterParams(at, {
    type: "ApprovalBased", token: friend, minimalAllowance: 1n, innerInput: new Uint8Array(),
  });
  await refused(poor.sendTransaction({ to: friend, gasLimit: 500000n, customData }), "approval for the paymaster");
});

await cell("0x71: SmartAccount, two of three owners", async () => {
  const keys = [1, 2, 3].map(() => EthersWallet.createRandom());
  const multisig = await deploy("MultisigAccount", keys.map((k) => k.address));
  const at = await multisig.getAddress();
  await (await wallet.sendTransaction({ to: at, value: parseEther("1") })).wait();
  const two = MultisigECDSASmartAccount.create(at, [keys[2].privateKey, keys[0].privateKey], l2);
  const before = await l2.getBalance(friend);
  const receipt = await (await two.sendTransaction({ to: friend, value: 7n })).wait();
  assert(receipt.status === 1 && receipt.from === at, "sent by the account");
  moved = receipt.hash;
  assert((await l2.getBalance(friend)) === before + 7n, "the friend's balance");
  const stranger = MultisigECDSASmartAccount.create(at, [keys[0].privateKey, EthersWallet.createRandom().privateKey], l2);
  await refused(stranger.sendTransaction({ to: friend, value: 7n }), "account validation failed: validateTransaction");
  assert((await two.getNonce()) > 0 && (await two.getDeploymentNonce()) > 0n, "nonces");
  const info = await l2.getContractAccountInfo(wallet.address);
  assert(info.supportedAAVersion === types.AccountAbstractionVersion.Version1, "a plain account is an account");
});

await cell("0x71: SmartAccount, a session key within its limit", async () => {
  const key = EthersWallet.createRandom();
  const session = await deploy("SessionKeyAccount", wallet.address);
  const at = await session.getAddress();
  await (await wallet.sendTransaction({ to: at, value: parseEther("1") })).wait();
  const owner = ECDSASmartAccount.create(at, wallet.privateKey, l2);
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const data = session.interface.encodeFunctionData("openSession", [key.address, ZeroAddress, 100n, parseEther("0.1"), expiry]);
  // Gas is estimated with the signer's address, which may not open sessions: the limit is given.
  const opened = await owner.sendTransaction({ to: at, data, gasLimit: 1_000_000n });
  assert((await opened.wait()).status === 1, "a session");
  const visitor = ECDSASmartAccount.create(at, key.privateKey, l2);
  assert((await (await visitor.sendTransaction({ to: friend, value: 60n })).wait()).status === 1, "within the limit");
  const error = session.interface.getError("SessionLimitExceeded").selector;
  await refused(visitor.sendTransaction({ to: friend, value: 60n }), error);
});

await cell("0x71: SmartAccount, a passkey", async () => {
  const key = passkey();
  const contract = await deploy("PasskeyAccount", key.x, key.y);
  const at = await contract.getAddress();
  await (await wallet.sendTransaction({ to: at, value: parseEther("1") })).wait();
  const smart = new SmartAccount(
    {
      address: at,
      // The builder asks for a key only to estimate gas.
      secret: EthersWallet.createRandom().privateKey,
      payloadSigner: async (payload) => key.answer(getBytes(payload)),
      transactionBuilder: utils.populateTransactionECDSA,
    },
    l2,
  );
  const before = await l2.getBalance(friend);
  const receipt = await (await smart.sendTransaction({ to: friend, value: 9n, gasLimit: 1_000_000n })).wait();
  assert(receipt.status === 1, "success");
  assert((await l2.getBalance(friend)) === before + 9n, "the friend's balance");
});

await cell("0x71: Signer, an EIP-1193 wallet signs typed data", async () => {
  const rpc = { request: ({ method, params }) => l2.send(method, params ?? []) };
  const browser = new BrowserProvider(rpc, undefined, { cacheTimeout: -1 });
  const { chainId } = await l2.getNetwork();
  const signer = Signer.from(await browser.getSigner(wallet.address), Number(chainId), l2);
  const before = await l2.getBalance(friend);
  const tx = await signer.sendTransaction({ to: friend, value: 11n, type: utils.EIP712_TX_TYPE });
  const receipt = await tx.wait();
  assert(receipt.status === 1 && receipt.type === utils.EIP712_TX_TYPE, "a transaction of type 0x71");
  assert((await l2.getBalance(friend)) === before + 11n, "the friend's balance");
  // Its provider remembers answers for 250 ms, the nonce among them.
  await sleep(300);
  await (await signer.transfer({ to: friend, amount: 2n })).wait();
  assert((await l2.getBalance(friend)) === before + 13n, "Signer.transfer");
  assert((await signer.getBalance()) > 0n && (await signer.getNonce()) > 0, "its reads");
});

await cell("0x71: the network's paymaster, estimateFee and Wallet.transfer with a paymaster", async () => {
  const at = await l2.getTestnetPaymasterAddress();
  assert(at !== null && (await l2.getCode(at)).length > 2, "a paymaster");
  const poor = new Wallet(EthersWallet.createRandom().privateKey, l2);
  const fee = await tokens.getAddress();
  await (await tokens.mint(poor.address, parseEther("100"), { type: 2 })).wait();
  const paymasterParams = utils.getPaymasterParams(await erc20Paymaster.getAddress(), {
    type: "ApprovalBased", token: fee, minimalAllowance: parseEther("100"), innerInput: new Uint8Array(),
  });
  const request = { from: poor.address, to: friend, value: 0n, type: utils.EIP712_TX_TYPE, customData: { paymasterParams, gasPerPubdata: utils.DEFAULT_GAS_PER_PUBDATA_LIMIT } };
  const estimate = await l2.estimateFee(request);
  assert(estimate.gasLimit > 21_000n, "the paymaster's part of the estimate");
  const sent = await poor.transfer({ to: friend, token: fee, amount: 3n, paymasterParams });
  assert((await sent.wait()).status === 1 && (await tokens.balanceOf(friend)) === 3n, "a transfer of the token itself");
  assert((await l2.getBalance(poor.address)) === 0n, "no ether was needed");
});

await cell("0x71: traces show every step of account and paymaster", async () => {
  const trace = (hash, options) => l2.send("debug_traceTransaction", [hash, options]);
  const selectors = (root) => root.calls.map((c) => c.input.slice(0, 10));
  const root = await trace(moved, { tracer: "callTracer" });
  assert(root.to === "0x0000000000000000000000000000000000008001" && !root.error, "one root, the bootloader");
  assert(root.calls.length === 3 && root.calls.every((c) => c.from === root.to && c.to === root.from), "validate, pay, execute");
  assert(selectors(root)[0] === "0x202bcce7", `validateTransaction first, not ${selectors(root)}`);
  assert(root.calls[2].calls.some((c) => c.to.toLowerCase() === friend.toLowerCase() && BigInt(c.value) === 7n), "the transfer within");
  const paid = await trace(gasless, { tracer: "callTracer" });
  assert(selectors(paid)[0] === "0x038a24bc" && paid.calls.length === 3, "the paymaster before and after");
  assert(paid.calls[1].to.toLowerCase() === (await tokens.getAddress()).toLowerCase(), "the call between");
  const steps = await trace(moved, {});
  assert(!steps.failed && steps.structLogs.filter((l) => l.depth === 1 && l.pc === 0).length === 3, "every step's instructions");
  const touched = await trace(moved, { tracer: "prestateTracer", tracerConfig: { diffMode: true } });
  assert(Object.keys(touched.post).includes(friend.toLowerCase()), "what changed");
  const flat = await trace(gasless, { tracer: "flatCallTracer" });
  assert(flat[0].traceAddress.length === 0 && flat.some((f) => f.traceAddress.join() === "2"), "parity's form");
  const { blockNumber } = await l2.getTransactionReceipt(moved);
  const block = await l2.send("debug_traceBlockByNumber", ["0x" + blockNumber.toString(16), { tracer: "callTracer" }]);
  assert(block.some((t) => t.txHash === moved && t.result.calls.length === 3), "the same in its block");
});

await cell("0x71: bad signatures are refused with their reason", async () => {
  const poor = new Wallet(EthersWallet.createRandom().privateKey, l2);
  const tx = await wallet.populateTransaction({ type: utils.EIP712_TX_TYPE, to: friend, value: 1n, customData: { gasPerPubdata: utils.DEFAULT_GAS_PER_PUBDATA_LIMIT } });
  const raw = (customSignature) => utils.serializeEip712({ ...tx, from: wallet.address, customData: { ...tx.customData, customSignature } });
  const send = (signature) => l2.send("eth_sendRawTransaction", [raw(signature)]);
  const strange = await poor.signTypedData(...(await typed(tx)));
  await refused(send(strange), "another key");
  await refused(send("0x" + "01".repeat(66)), "65 bytes");
  await refused(send("0x" + "01".repeat(20_000)), "customSignature");
  const good = await wallet.signTypedData(...(await typed(tx)));
  const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
  const high = (n - BigInt("0x" + good.slice(66, 130))).toString(16).padStart(64, "0");
  await refused(send(good.slice(0, 66) + high + (good.endsWith("1b") ? "1c" : "1b")), "upper half");
  const other = { ...tx, chainId: 1n };
  await refused(
    l2.send("eth_sendRawTransaction", [utils.serializeEip712({ ...other, from: wallet.address, customData: { ...tx.customData, customSignature: good } })]),
    "chain",
  );
});

// What an account signs for a transaction, in the form that `signTypedData` takes.
async function typed(tx) {
  const { EIP712Signer } = await import("zksync-ethers");
  const signed = EIP712Signer.getSignInput({ ...tx, from: wallet.address });
  return [{ name: "zkSync", version: "2", chainId: tx.chainId }, TRANSACTION, signed];
}

end();
