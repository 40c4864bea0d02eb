// Golden vectors of type 0x71 for crates/primitives, made by zksync-ethers and viem:
//   node aa-vectors.mjs > ../../crates/primitives/tests/vectors/eip712.json
import { EIP712Signer, utils } from "zksync-ethers";
import { ethers } from "ethers";
import * as viem from "viem";
import { privateKeyToAccount } from "viem/accounts";
import * as viemZk from "viem/zksync";
const key = "0x" + "42".repeat(32);
const w = new ethers.Wallet(key);
const out = [];
const pm = "0x" + "ab".repeat(20);
const cases = [
  { name: "transfer", chainId: 270, nonce: 0, to: "0x" + "11".repeat(20), value: 1000000n, gasLimit: 21000n, maxFeePerGas: 250000000n, maxPriorityFeePerGas: 0n, customData: {} },
  { name: "call", chainId: 324, nonce: 77, to: "0x" + "22".repeat(20), value: 0n, data: "0xa9059cbb" + "00".repeat(64), gasLimit: 300000n, maxFeePerGas: 7n, maxPriorityFeePerGas: 3n, customData: { gasPerPubdata: 800n } },
  { name: "general paymaster", chainId: 270, nonce: 5, to: "0x" + "33".repeat(20), value: 1n, gasLimit: 500000n, maxFeePerGas: 100n, customData: { gasPerPubdata: 50000n, paymasterParams: utils.getPaymasterParams(pm, { type: "General", innerInput: "0x" }) } },
  { name: "approval paymaster", chainId: 270, nonce: 6, to: "0x" + "44".repeat(20), value: 2n ** 200n, gasLimit: 500000n, maxFeePerGas: 100n, customData: { gasPerPubdata: 50000n, paymasterParams: utils.getPaymasterParams(pm, { type: "ApprovalBased", token: "0x" + "cd".repeat(20), minimalAllowance: 12345n, innerInput: "0x0102" }) } },
];
for (const c of cases) {
  const { name, ...tx } = c;
  tx.type = 113; tx.from = w.address; tx.data ??= "0x";
  const digest = EIP712Signer.getSignedDigest(tx);
  tx.customData = { gasPerPubdata: 50000n, ...tx.customData };
  const sig = await new EIP712Signer(w, tx.chainId).sign(tx);
  tx.customData.customSignature = sig;
  const raw = utils.serializeEip712(tx);
  out.push({ by: "zksync-ethers", name, raw, digest, hash: utils.eip712TxHash(tx), from: w.address });
}
// A smart account's signature of odd length.
{
  const tx = { type: 113, from: "0x" + "99".repeat(20), chainId: 270, nonce: 1, to: "0x" + "11".repeat(20), value: 0n, data: "0x", gasLimit: 1000000n, maxFeePerGas: 100n, customData: { gasPerPubdata: 50000n } };
  const digest = EIP712Signer.getSignedDigest(tx);
  tx.customData.customSignature = "0x" + "01".repeat(133);
  out.push({ by: "zksync-ethers", name: "smart account", raw: utils.serializeEip712(tx), digest, hash: utils.eip712TxHash(tx), from: tx.from });
}
const account = privateKeyToAccount(key);
const vcases = [
  { name: "transfer", chainId: 270, nonce: 3, to: "0x" + "11".repeat(20), value: 5n, gas: 21000n, maxFeePerGas: 9n, maxPriorityFeePerGas: 0n, gasPerPubdata: 50000n },
  { name: "paymaster", chainId: 270, nonce: 4, to: "0x" + "11".repeat(20), data: "0xdeadbeef", gas: 210000n, maxFeePerGas: 9n, maxPriorityFeePerGas: 1n, paymaster: pm, paymasterInput: viemZk.getGeneralPaymasterInput({ innerInput: "0x" }) },
  { name: "deployment", chainId: 270, nonce: 4, data: "0x6001600155", gas: 210000n, maxFeePerGas: 9n, maxPriorityFeePerGas: 1n, gasPerPubdata: 100n },
];
for (const c of vcases) {
  const { name, ...tx } = c;
  tx.type = "eip712"; tx.from = account.address;
  const typed = viemZk.chainConfig.custom.getEip712Domain(tx);
  const digest = viem.hashTypedData(typed);
  const customSignature = await account.signTypedData(typed);
  const raw = viemZk.chainConfig.serializers.transaction({ ...tx, customSignature });
  const hash = viem.keccak256(viem.concatHex([digest, viem.keccak256(customSignature)]));
  out.push({ by: "viem", name, raw, digest, hash, from: account.address });
}
console.log(JSON.stringify(out, null, 1));
