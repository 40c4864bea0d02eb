// zksync-ethers v6: the bridge both ways, as its documentation shows it.
import { JsonRpcProvider } from "ethers";
import { Provider, Wallet, utils } from "zksync-ethers";
import { L1, L2, account, assert, matrix, network, token, until, versionOf } from "./cell.mjs";
import { ContractFactory, parseEther } from "ethers";

const { cell, end } = matrix("zksync-ethers", versionOf("zksync-ethers"));
const l1 = new JsonRpcProvider(L1, undefined, { cacheTimeout: -1 });
const l2 = new Provider(L2, undefined, { cacheTimeout: -1 });
const wallet = new Wallet(account(4).key, l2, l1);
let erc20;
let withdrawal;

await cell("provider reads", async () => {
  assert((await l2.getBridgehubContractAddress()).toLowerCase() === network.contracts.bridgehub.toLowerCase(), "the bridgehub");
  assert((await l2.l1ChainId()) === network.l1.chain_id, "the L1's chain id");
  assert((await wallet.getBalance()) > 0n, "a balance");
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

end();
