// Hardhat 2: a sample project, unchanged but for the network it names.
import { hardhat } from "./hardhat.mjs";

await hardhat("hardhat2", process.execPath, "hardhat/internal/cli/cli.js", [
  ["compile and test a project", ["test", "--network", "cairn"], /3 passing/],
  ["deploy by a script", ["run", "deploy.js", "--network", "cairn"], /deployed 0x[0-9a-fA-F]{40}/],
]);
