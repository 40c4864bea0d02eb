// zksync-ethers v6, account abstraction: transactions of type 0x71 from plain and smart accounts, and paymasters.
import { Contract, ContractFactory, Wallet as EthersWallet, ZeroAddress, getBytes, parseEther } from "ethers";
import { ECDSASmartAccount, MultisigECDSASmartAccount, Provider, SmartAccount, Wallet, types, utils } from "zksync-ethers";
import { L2, account, assert, matrix, token, versionOf } from "./cell.mjs";
import { artifact, passkey } from "./aa.mjs";

const { cell, end } = matrix("zksync-ethers", versionOf("zksync-ethers"));
const l2 = new Provider(L2, undefined, { cacheTimeout: -1 });
const wallet = new Wallet(account(8).key, l2);
const friend = EthersWallet.createRandom().address;
let sponsor;
let tokens;
let erc20Paymaster;

// Plain EVM bytecode goes the plain way: zksync-ethers' own factory wants EraVM bytecode.
async function deploy(name, ...args) {
  const { abi, bytecode } = artifact(name);
  const contract = await new ContractFactory(abi, bytecode, wallet).deploy(...args, { type: 2 });
  return contract.waitForDeployment();
}

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

end();
