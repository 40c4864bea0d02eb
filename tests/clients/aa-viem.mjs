// viem/zksync, account abstraction: EIP-712 transactions, paymasters, smart accounts.
import { createPublicClient, createWalletClient, defineChain, http, parseEther } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import {
  chainConfig, eip712WalletActions, getApprovalBasedPaymasterInput, getGeneralPaymasterInput, publicActionsL2,
  toMultisigSmartAccount, toSinglesigSmartAccount, toSmartAccount,
} from "viem/zksync";
import { L2, assert, matrix, network, own, token, versionOf } from "./cell.mjs";
import { artifact, passkey } from "./aa.mjs";

const { cell, end } = matrix("viem", versionOf("viem"));
const chain = defineChain({
  ...chainConfig,
  id: network.l2.chain_id,
  name: "Cairn",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [L2] } },
});
const client = createPublicClient({ chain, transport: http(), pollingInterval: 100, cacheTime: 0 }).extend(publicActionsL2());
const plain = (a) => createWalletClient({ account: a, chain, transport: http() });
const of = (a) => plain(a).extend(eip712WalletActions());
const owner = privateKeyToAccount(own.key);
const wallet = of(owner);
const friend = privateKeyToAccount(generatePrivateKey()).address;
const mined = (hash) => client.waitForTransactionReceipt({ hash, timeout: 20_000 });
let sponsor;
let tokenAt;

// Plain EVM bytecode goes the plain way: the EIP-712 actions' own deployment wants EraVM bytecode.
async function deploy({ abi, bytecode }, args) {
  const receipt = await mined(await plain(owner).deployContract({ abi, bytecode, args }));
  assert(receipt.status === "success", "deployed");
  return receipt.contractAddress;
}

async function refused(promise, what) {
  try {
    await promise;
  } catch (e) {
    assert(String(e).includes(what), `"${what}" is said, not ${e}`);
    return;
  }
  throw new Error(`not refused: ${what}`);
}

await cell("0x71: transfer", async () => {
  const hash = await wallet.sendTransaction({ to: friend, value: 5n, gasPerPubdata: 50_000n });
  const receipt = await mined(hash);
  assert(receipt.status === "success" && receipt.type === "0x71", `type ${receipt.type}`);
  const tx = await client.getTransaction({ hash });
  assert(tx.type === "eip712" && tx.from.toLowerCase() === owner.address.toLowerCase(), "its fields");
  assert((await client.getBalance({ address: friend })) === 5n, "the friend's balance");
});

await cell("0x71: a sponsor pays for an account without ether", async () => {
  sponsor = await deploy(artifact("SponsorPaymaster"), [owner.address, parseEther("1")]);
  tokenAt = await deploy(token, ["Viem", "VIM", 18]);
  await mined(await wallet.sendTransaction({ to: sponsor, value: parseEther("0.5") }));
  const poor = privateKeyToAccount(generatePrivateKey());
  const hash = await of(poor).writeContract({
    address: tokenAt, abi: token.abi, functionName: "mint", args: [poor.address, 70n],
    paymaster: sponsor, paymasterInput: getGeneralPaymasterInput({ innerInput: "0x" }),
  });
  assert((await mined(hash)).status === "success", "success");
  assert((await client.getBalance({ address: poor.address })) === 0n, "nothing paid");
});

await cell("0x71: a fee paid in a token", async () => {
  const paymaster = artifact("ERC20Paymaster");
  const at = await deploy(paymaster, [owner.address]);
  await mined(await wallet.sendTransaction({ to: at, value: parseEther("0.5") }));
  await mined(await wallet.writeContract({ address: at, abi: paymaster.abi, functionName: "setRate", args: [tokenAt, parseEther("10")] }));
  const poor = privateKeyToAccount(generatePrivateKey());
  await mined(await wallet.writeContract({ address: tokenAt, abi: token.abi, functionName: "mint", args: [poor.address, parseEther("100")] }));
  const hash = await of(poor).sendTransaction({
    to: friend, value: 0n, paymaster: at,
    paymasterInput: getApprovalBasedPaymasterInput({ token: tokenAt, minAllowance: parseEther("100"), innerInput: "0x" }),
  });
  assert((await mined(hash)).status === "success", "success");
  const left = await client.readContract({ address: tokenAt, abi: token.abi, functionName: "balanceOf", args: [poor.address] });
  assert(left < parseEther("100") && left > 0n, "paid in tokens");
});

await cell("0x71: smart accounts of one, two and a passkey", async () => {
  const keys = [generatePrivateKey(), generatePrivateKey(), generatePrivateKey()];
  const owners = keys.map((k) => privateKeyToAccount(k).address);
  const multisig = await deploy(artifact("MultisigAccount"), [owners]);
  const single = await deploy(artifact("SessionKeyAccount"), [owners[0]]);
  const key = passkey();
  const pass = await deploy(artifact("PasskeyAccount"), [key.x, key.y]);
  const accounts = [
    toMultisigSmartAccount({ address: multisig, privateKeys: keys.slice(1) }),
    toSinglesigSmartAccount({ address: single, privateKey: keys[0] }),
    toSmartAccount({ address: pass, sign: async ({ hash }) => key.answer(hash) }),
  ];
  for (const smart of accounts) {
    await mined(await wallet.sendTransaction({ to: smart.address, value: parseEther("1") }));
    const before = await client.getBalance({ address: friend });
    const hash = await of(smart).sendTransaction({ to: friend, value: 3n, gasPerPubdata: 50_000n, gas: 1_000_000n });
    const receipt = await mined(hash);
    assert(receipt.status === "success" && receipt.from.toLowerCase() === smart.address.toLowerCase(), "sent by the account");
    assert((await client.getBalance({ address: friend })) === before + 3n, "the friend's balance");
  }
  const stranger = toSinglesigSmartAccount({ address: single, privateKey: keys[1] });
  await refused(
    of(stranger).sendTransaction({ to: friend, value: 3n, gasPerPubdata: 50_000n, gas: 1_000_000n }),
    "account validation failed: validateTransaction",
  );
});

end();
