// viem against the rollup, and against L1s.
import { createPublicClient, createWalletClient, defineChain, http, parseEther, webSocket } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { CHAIN_ID, RPC, WS, assert, matrix, onL1, own, rejected, token, until, versionOf } from "./cell.mjs";

const { cell, end } = matrix("viem", versionOf("viem"));
const chain = defineChain({
  id: CHAIN_ID,
  name: onL1?.name ?? "Cairn",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [RPC], webSocket: [WS] } },
});
const client = createPublicClient({ chain, transport: http(), pollingInterval: 100, cacheTime: 0 });
const wallet = createWalletClient({ account: privateKeyToAccount(own.key), chain, transport: http() });
const friend = privateKeyToAccount(generatePrivateKey()).address;
let address;

const mined = (hash) => client.waitForTransactionReceipt({ hash, timeout: 20_000 });
const write = (functionName, args) => wallet.writeContract({ address, abi: token.abi, functionName, args });
const read = (functionName, args, at = address) => client.readContract({ address: at, abi: token.abi, functionName, args });

await cell("transfer", async () => {
  const receipt = await mined(await wallet.sendTransaction({ to: friend, value: parseEther("0.25") }));
  assert(receipt.status === "success", "success");
  assert((await client.getBalance({ address: friend })) === parseEther("0.25"), "the friend's balance");
});

await cell("deploy and call", async () => {
  const hash = await wallet.deployContract({ abi: token.abi, bytecode: token.bytecode, args: ["Viem", "VIM", 18] });
  address = (await mined(hash)).contractAddress;
  await mined(await write("mint", [wallet.account.address, 50n]));
  await mined(await write("transfer", [friend, 5n]));
  assert((await read("balanceOf", [friend])) === 5n, "the token balance");
});

await cell("simulate a revert", async () => {
  const call = { account: wallet.account, address, abi: token.abi, functionName: "transfer", args: [friend, 10n ** 30n] };
  const e = await rejected(() => client.simulateContract(call), "it");
  assert(String(e).includes("ERC20InsufficientBalance"), `decoded: ${e}`);
});

await cell("calls with overridden state", async () => {
  const abi = token.abi;
  const poor = privateKeyToAccount(generatePrivateKey());
  const value = { account: poor.address, to: friend, value: parseEther("3") };
  await rejected(() => client.call(value), "a call without its value");
  await client.call({ ...value, stateOverride: [{ address: poor.address, balance: parseEther("9") }] });
  const code = await client.getCode({ address });
  const elsewhere = await client.readContract({ address: poor.address, abi, functionName: "totalSupply", stateOverride: [{ address: poor.address, code }] });
  assert(elsewhere === 0n, "the code at another address");
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

await cell("websocket: watch events", async () => {
  const live = createPublicClient({ chain, transport: webSocket(WS) });
  let seen;
  const stop = live.watchContractEvent({ address, abi: token.abi, eventName: "Transfer", args: { to: friend }, onLogs: (logs) => (seen = logs[0]) });
  await until(async () => {
    await mined(await write("transfer", [friend, 2n]));
    return seen;
  }, "an event", 30);
  assert(seen.args.value === 2n, "its value");
  stop();
});

await cell("EIP-7702: an account with a contract's code", async () => {
  const authority = privateKeyToAccount(generatePrivateKey());
  const authorization = await authority.signAuthorization({ contractAddress: address, chainId: CHAIN_ID, nonce: 0 });
  const receipt = await mined(await wallet.sendTransaction({ to: friend, authorizationList: [authorization], gas: 200_000n }));
  assert(receipt.type === "eip7702" && receipt.status === "success", `${receipt.type} ${receipt.status}`);
  assert((await client.getDelegation({ address: authority.address }))?.toLowerCase() === address.toLowerCase(), "the delegation");
  assert((await read("totalSupply", [], authority.address)) === 0n, "its own storage, with the contract's code");
  const tx = await client.getTransaction({ hash: receipt.transactionHash });
  assert(tx.authorizationList.length === 1 && tx.authorizationList[0].nonce === 0, "the authorization, read back");
});

end();
