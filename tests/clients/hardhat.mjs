// Runs a Hardhat project's commands as cells.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { assert, matrix, versionOf } from "./cell.mjs";

export async function hardhat(folder, node, cli, commands) {
  const cwd = fileURLToPath(new URL(`./${folder}/`, import.meta.url));
  const { cell, end } = matrix("Hardhat", versionOf("hardhat", folder));
  const env = { ...process.env, HARDHAT_DISABLE_TELEMETRY_PROMPT: "true", CI: "true" };
  for (const [flow, args, wanted] of commands) {
    await cell(flow, async () => {
      const { status, stdout, stderr } = spawnSync(node, [`node_modules/${cli}`, ...args], {
        cwd, env, encoding: "utf8", timeout: 110_000,
      });
      assert(status === 0 && wanted.test(`${stdout}${stderr}`), `${status}: ${stdout}${stderr}`);
    });
  }
  end();
}
