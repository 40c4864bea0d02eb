// Foundry's cast and forge against the rollup, and against L1s.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CHAIN_ID, RPC, assert, matrix, onL1, own, rejected, versionOf } from "./cell.mjs";

const { cell, end } = matrix("foundry", versionOf("@foundry-rs/cast"));
const here = dirname(fileURLToPath(import.meta.url));
const packages = join(here, "node_modules/@foundry-rs");
// The binary itself: npm's wrapper in `.bin` ends with success whatever the program ended with.
function bin(name) {
  const path = readdirSync(packages).map((p) => join(packages, p, "bin", name)).find((p) => p.includes(`${name}-`) && existsSync(p));
  assert(path, `npm has installed ${name} for this platform`);
  return path;
}
const key = own.key;
const friend = "0x00000000000000000000000000000000f0a3d7e5";
const work = mkdtempSync(join(tmpdir(), "cairn-foundry-"));
const contracts = join(here, "../../contracts");
// The repository's wrapper runs npm's solc: the one of these packages.
process.env.NODE_PATH = join(here, "node_modules");

function run(name, args, options = {}) {
  return execFileSync(bin(name), args, { encoding: "utf8", cwd: work, timeout: 110_000, ...options }).trim();
}

// A project with the token and a script, compiled by npm's solc through the repository's wrapper.
mkdirSync(join(work, "src"));
mkdirSync(join(work, "script"));
writeFileSync(join(work, "foundry.toml"), '[profile.default]\nsrc = "src"\nscript = "script"\nout = "out"\nlibs = []\n');
writeFileSync(join(work, "src/Counter.sol"), `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;
contract Counter {
    uint256 public number;
    event Changed(uint256 number);
    constructor(uint256 start) { number = start; }
    function increment() external { number++; emit Changed(number); }
    function refuse() external pure { revert("refused"); }
}
`);
writeFileSync(join(work, "script/Deploy.s.sol"), `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;
import "../src/Counter.sol";
interface Vm { function startBroadcast() external; function stopBroadcast() external; }
contract Deploy {
    bool public IS_SCRIPT = true;
    Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    function run() external {
        vm.startBroadcast();
        Counter c = new Counter(41);
        c.increment();
        vm.stopBroadcast();
    }
}
`);
mkdirSync(join(work, "test"));
writeFileSync(join(work, "test/Counter.t.sol"), `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.0;
import "../src/Counter.sol";
interface Vm { function envAddress(string calldata) external view returns (address); function expectRevert(bytes calldata) external; }
contract CounterTest {
    Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    Counter live;
    function setUp() public { live = Counter(vm.envAddress("COUNTER")); }
    function testForkHasTheChainsState() public {
        uint256 before = live.number();
        require(before >= 8, "the state of the chain");
        live.increment();
        require(live.number() == before + 1, "incremented on the fork");
        vm.expectRevert(bytes("refused"));
        live.refuse();
    }
    function testForkKnowsTheChain() public view { require(block.chainid == ${CHAIN_ID}, "chain id"); }
}
`);
const solc = ["--offline", "--use", join(contracts, "forge-solc.cjs")];
let counter;

await cell("cast send", async () => {
  const out = run("cast", ["send", friend, "--value", "1gwei", "--rpc-url", RPC, "--private-key", key, "--json"]);
  assert(JSON.parse(out).status === "0x1", out);
});

await cell("forge create", async () => {
  const out = run("forge", ["create", ...solc, "src/Counter.sol:Counter", "--rpc-url", RPC, "--private-key", key, "--broadcast", "--json", "--constructor-args", "7"]);
  counter = JSON.parse(out.slice(out.indexOf("{"))).deployedTo;
  assert(/^0x[0-9a-fA-F]{40}$/.test(counter), out);
});

await cell("cast call and logs", async () => {
  assert(run("cast", ["call", counter, "number()(uint256)", "--rpc-url", RPC]) === "7", "the number");
  run("cast", ["send", counter, "increment()", "--rpc-url", RPC, "--private-key", key]);
  assert(run("cast", ["call", counter, "number()(uint256)", "--rpc-url", RPC]) === "8", "the number after");
  const logs = run("cast", ["logs", "--address", counter, "Changed(uint256)", "--from-block", "0", "--rpc-url", RPC]);
  assert(logs.includes("topics"), logs);
});

await cell("cast revert reason", async () => {
  const { status, stderr } = spawnSync(bin("cast"), ["call", counter, "refuse()", "--rpc-url", RPC], { encoding: "utf8" });
  assert(status === 1 && stderr.includes("execution reverted: refused"), `${status}: ${stderr}`);
  // Also where the transaction is to be sent: its estimate fails.
  const e = await rejected(() => run("cast", ["send", counter, "refuse()", "--rpc-url", RPC, "--private-key", key], { stdio: "pipe" }), "it");
  assert(e.stderr.includes("refused"), e.stderr);
});

await cell("forge script --broadcast", async () => {
  const out = run("forge", ["script", ...solc, "script/Deploy.s.sol", "--rpc-url", RPC, "--private-key", key, "--broadcast", "--slow"]);
  assert(out.includes("ONCHAIN EXECUTION COMPLETE"), out.slice(-500));
});

await cell("forge test --fork-url", async () => {
  const out = run("forge", ["test", ...solc, "--fork-url", RPC], { env: { ...process.env, COUNTER: counter } });
  assert(out.includes("2 tests passed") || out.includes("2 passed"), out);
});

await cell("cast: blocks, storage, estimates, access lists", async () => {
  assert(/^[0-9]+$/.test(run("cast", ["block-number", "--rpc-url", RPC])), "a block number");
  assert(JSON.parse(run("cast", ["block", "latest", "--json", "--rpc-url", RPC])).hash.length === 66, "a block");
  assert(BigInt(run("cast", ["storage", counter, "0", "--rpc-url", RPC])) >= 8n, "the slot");
  assert(Number(run("cast", ["estimate", counter, "increment()", "--rpc-url", RPC])) > 21000, "an estimate");
  assert(run("cast", ["access-list", counter, "increment()", "--rpc-url", RPC]).includes("access list"), "an access list");
  assert(run("cast", ["rpc", "web3_clientVersion", "--rpc-url", RPC]).includes(onL1?.name.startsWith("anvil") ? "anvil/" : "cairn"), "the client");
});

await cell("cast run (replay with traces)", async () => {
  const out = run("cast", ["send", counter, "increment()", "--rpc-url", RPC, "--private-key", key, "--json"]);
  const trace = run("cast", ["run", JSON.parse(out).transactionHash, "--rpc-url", RPC, "--quick"]);
  assert(trace.includes("increment") || trace.includes("successfully executed"), trace);
});

await cell("EIP-7702: cast send --auth", async () => {
  const [authority] = JSON.parse(run("cast", ["wallet", "new", "--json"]));
  const auth = run("cast", ["wallet", "sign-auth", counter, "--private-key", authority.private_key, "--rpc-url", RPC]);
  run("cast", ["send", authority.address, "increment()", "--auth", auth, "--gas-limit", "200000", "--rpc-url", RPC, "--private-key", key]);
  assert(run("cast", ["code", authority.address, "--rpc-url", RPC]).toLowerCase() === `0xef0100${counter.slice(2).toLowerCase()}`, "the designator");
  assert(run("cast", ["call", authority.address, "number()(uint256)", "--rpc-url", RPC]) === "1", "its own storage, with the contract's code");
});

if (onL1) {
  await cell("cast rpc: balances, impersonation, snapshots, time", async () => {
    const rpc = (...args) => JSON.parse(run("cast", ["rpc", ...args, "--rpc-url", RPC]));
    const balance = (of) => run("cast", ["balance", of, "--rpc-url", RPC]);
    const [whale, to] = JSON.parse(run("cast", ["wallet", "new", "--number", "2", "--json"])).map((w) => w.address);
    rpc("anvil_setBalance", whale, "0xde0b6b3a7640000");
    assert(balance(whale) === "1000000000000000000", "the balance");
    const snapshot = rpc("evm_snapshot");
    rpc("anvil_impersonateAccount", whale);
    run("cast", ["send", to, "--value", "5", "--from", whale, "--unlocked", "--rpc-url", RPC]);
    assert(balance(to) === "5", "a payment in its name");
    assert(rpc("evm_revert", snapshot) === true && balance(to) === "0", "undone");
    const before = Number(run("cast", ["block", "latest", "--field", "timestamp", "--rpc-url", RPC]));
    rpc("evm_increaseTime", "3600");
    rpc("evm_mine");
    assert(Number(run("cast", ["block", "latest", "--field", "timestamp", "--rpc-url", RPC])) > before + 3540, "an hour later, but for blocks ahead of the clock");
  });
}

rmSync(work, { recursive: true, force: true });
end();
