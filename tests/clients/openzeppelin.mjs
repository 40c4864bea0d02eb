// OpenZeppelin's own contracts, compiled by stock solc and exercised through ethers.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Contract, ContractFactory, Interface, JsonRpcProvider, NonceManager, Signature, Wallet, ZeroAddress, id } from "ethers";
import { L2, assert, matrix, own, until, versionOf } from "./cell.mjs";

const require = createRequire(import.meta.url);
const { cell, end } = matrix("OpenZeppelin contracts", versionOf("@openzeppelin/contracts"));
const provider = new JsonRpcProvider(L2, undefined, { cacheTimeout: -1, polling: true });
provider.pollingInterval = 100;
const signer = new Wallet(own.key, provider);
const wallet = new NonceManager(signer);
const me = signer.address;
const friend = Wallet.createRandom().address;

const compiled = compile();

// Everything that `openzeppelin.sol` imports comes from the package as it is.
function compile() {
  const solc = require("solc");
  const source = readFileSync(new URL("./openzeppelin.sol", import.meta.url), "utf8");
  const input = {
    language: "Solidity",
    sources: { "openzeppelin.sol": { content: source } },
    settings: {
      optimizer: { enabled: true, runs: 200 },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
    },
  };
  const load = (path) => {
    try {
      return { contents: readFileSync(new URL(`./node_modules/${path}`, import.meta.url), "utf8") };
    } catch (e) {
      return { error: String(e) };
    }
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: load }));
  const errors = (output.errors ?? []).filter((e) => e.severity === "error");
  if (errors.length) throw new Error(errors.map((e) => e.formattedMessage).join("\n"));
  return Object.assign({}, ...Object.values(output.contracts));
}

async function deploy(name, ...args) {
  const { abi, evm } = compiled[name];
  const factory = new ContractFactory(abi, evm.bytecode.object, wallet);
  return (await factory.deploy(...args)).waitForDeployment();
}

const at = (name, address) => new Contract(address, compiled[name].abi, wallet);
const mined = async (tx) => (await tx).wait();

async function refuses(call, error) {
  try {
    await call;
  } catch (e) {
    assert(e.revert?.name === error, `refused with ${error}, not ${e.revert?.name ?? e}`);
    return;
  }
  throw new Error(`${error} was expected`);
}

await cell("ERC-20 with permit and votes", async () => {
  const token = await deploy("Token20");
  await mined(token.transfer(friend, 10n));
  assert((await token.balanceOf(friend)) === 10n, "the balance");
  const deadline = 2n ** 40n;
  const { chainId } = await provider.getNetwork();
  const domain = { name: "Token", version: "1", chainId, verifyingContract: await token.getAddress() };
  const types = { Permit: ["owner:address", "spender:address", "value:uint256", "nonce:uint256", "deadline:uint256"].map(field) };
  const permit = { owner: me, spender: friend, value: 5n, nonce: 0n, deadline };
  const { v, r, s } = Signature.from(await signer.signTypedData(domain, types, permit));
  await mined(token.permit(me, friend, 5n, deadline, v, r, s));
  assert((await token.allowance(me, friend)) === 5n, "the allowance by signature");
  await refuses(token.transferFrom.staticCall(me, friend, 1n), "ERC20InsufficientAllowance");
});

function field(text) {
  const [name, type] = text.split(":");
  return { name, type };
}

await cell("ERC-721 enumerable", async () => {
  const nft = await deploy("Token721");
  for (const n of [7n, 8n, 9n]) await mined(nft.mint(me, n));
  await mined(nft["safeTransferFrom(address,address,uint256)"](me, friend, 8n));
  assert((await nft.ownerOf(8n)) === friend && (await nft.balanceOf(me)) === 2n, "the owners");
  assert((await nft.totalSupply()) === 3n && (await nft.tokenOfOwnerByIndex(friend, 0)) === 8n, "the enumeration");
  await refuses(nft.ownerOf(1n), "ERC721NonexistentToken");
});

await cell("ERC-1155 batches", async () => {
  const multi = await deploy("Token1155");
  await mined(multi.mintBatch(me, [1n, 2n], [100n, 200n]));
  await mined(multi.safeBatchTransferFrom(me, friend, [1n, 2n], [3n, 4n], "0x"));
  const balances = await multi.balanceOfBatch([friend, friend], [1n, 2n]);
  assert(balances[0] === 3n && balances[1] === 4n, "the balances");
  await refuses(multi.safeTransferFrom.staticCall(me, ZeroAddress, 1n, 1n, "0x"), "ERC1155InvalidReceiver");
});

await cell("AccessControl", async () => {
  const vault = await deploy("Roles");
  await refuses(vault.connect(provider).guarded.staticCall({ from: friend }), "AccessControlUnauthorizedAccount");
  await mined(vault.grantRole(id("KEEPER"), me));
  await mined(vault.guarded());
  assert((await vault.count()) === 1n, "the guarded call ran");
  await mined(vault.renounceRole(id("KEEPER"), me));
  await refuses(vault.guarded.staticCall(), "AccessControlUnauthorizedAccount");
});

await cell("Governor and TimelockController", async () => {
  const token = await deploy("Token20");
  await mined(token.delegate(me));
  const timelock = await deploy("Timelock", 1n, [], [ZeroAddress], me);
  const governor = await deploy("Dao", await token.getAddress(), await timelock.getAddress());
  await mined(timelock.grantRole(id("PROPOSER_ROLE"), await governor.getAddress()));
  const target = await deploy("Roles");
  await mined(target.grantRole(id("KEEPER"), await timelock.getAddress()));
  const call = target.interface.encodeFunctionData("guarded");
  const proposal = [[await target.getAddress()], [0n], [call]];
  await mined(governor.propose(...proposal, "count"));
  const proposalId = await governor.hashProposal(...proposal, id("count"));
  // Voting is counted in blocks; each transaction makes one at least.
  const state = async (wanted) =>
    until(async () => {
      if ((await governor.state(proposalId)) === wanted) return true;
      await mined(token.transfer(friend, 1n));
      return false;
    }, `state ${wanted}`, 60);
  await state(1n);
  await mined(governor.castVote(proposalId, 1));
  await state(4n);
  await mined(governor.queue(...proposal, id("count")));
  const ready = await governor.proposalEta(proposalId);
  await until(async () => (await provider.getBlock("latest")).timestamp >= Number(ready) || (await mined(token.transfer(friend, 1n)), false), "the delay", 30);
  await mined(governor.execute(...proposal, id("count")));
  assert((await target.count()) === 1n, "the proposal was executed");
});

await cell("proxies: UUPS", async () => {
  const first = await deploy("BoxV1");
  const init = first.interface.encodeFunctionData("initialize", [me, 41n]);
  const proxy = await deploy("Proxy1967", await first.getAddress(), init);
  const box = at("BoxV1", await proxy.getAddress());
  assert((await box.value()) === 41n, "the initialised value");
  const second = await deploy("BoxV2");
  await mined(box.upgradeToAndCall(await second.getAddress(), second.interface.encodeFunctionData("increase")));
  const upgraded = at("BoxV2", await proxy.getAddress());
  assert((await upgraded.value()) === 42n && (await upgraded.version()) === 2n, "the value after the upgrade");
  await refuses(upgraded.initialize.staticCall(me, 1n), "InvalidInitialization");
});

await cell("proxies: transparent", async () => {
  const first = await deploy("BoxV1");
  const init = first.interface.encodeFunctionData("initialize", [me, 1n]);
  const proxy = await deploy("TransparentProxy", await first.getAddress(), me, init);
  const created = new Interface(["event AdminChanged(address previousAdmin, address newAdmin)"]);
  const receipt = await proxy.deploymentTransaction().wait();
  const log = receipt.logs.map((l) => created.parseLog(l)).find((l) => l?.name === "AdminChanged");
  const admin = at("Admin", log.args.newAdmin);
  const second = await deploy("BoxV2");
  await mined(admin.upgradeAndCall(await proxy.getAddress(), await second.getAddress(), second.interface.encodeFunctionData("increase")));
  assert((await at("BoxV2", await proxy.getAddress()).value()) === 2n, "the value after the upgrade");
});

end();
