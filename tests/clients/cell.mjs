// One cell of the client matrix: a flow of one client, told as one JSON line.
import { readFileSync } from "node:fs";

export const network = JSON.parse(process.env.CAIRN_NETWORK);
export const L1 = network.l1.http;
export const L2 = network.l2.http;
// An L1 that was started for this run alone; null when the run is on the rollup.
export const onL1 = process.env.CAIRN_L1 ? JSON.parse(process.env.CAIRN_L1) : null;
// The chain that this run is on.
export const RPC = onL1?.http ?? L2;
export const WS = onL1?.ws ?? network.l2.ws;
export const CHAIN_ID = onL1 ? network.l1.chain_id : network.l2.chain_id;
export const account = (i) => network.accounts[i];
// The account that signs. Scripts that run at the same time are given different ones, so that no two wait for one nonce.
export const own = account(Number(process.env.CAIRN_ACCOUNT ?? 0));

// The test token that every client deploys: ordinary solc output.
export const token = JSON.parse(
  readFileSync(new URL("../../contracts/artifacts/TestERC20.json", import.meta.url)),
);

// The version of a package, of the matrix itself or of a project in one of its folders.
export function versionOf(name, folder = ".") {
  const path = new URL(`./${folder}/node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(path)).version;
}

export function assert(holds, what) {
  if (!holds) throw new Error(`not true: ${what}`);
}

// Cells of one client; `on` says which L1 they ran on and is absent for the rollup.
export function matrix(client, version) {
  const on = onL1?.name;
  let failed = 0;
  return {
    async cell(flow, run) {
      const limit = Number(process.env.CAIRN_CELL_SECONDS ?? 120) * 1000;
      let timer;
      try {
        const late = new Promise((_, reject) => {
          timer = setTimeout(() => reject(new Error(`no end after ${limit} ms`)), limit);
        });
        await Promise.race([run(), late]);
        console.log(JSON.stringify({ client, version, on, flow, ok: true }));
      } catch (e) {
        failed += 1;
        const error = String(e?.stack ?? e).slice(0, 2000);
        console.log(JSON.stringify({ client, version, on, flow, ok: false, error }));
      } finally {
        clearTimeout(timer);
      }
    },
    end() {
      process.exit(failed === 0 ? 0 : 1);
    },
  };
}

// Fails unless `run` does; gives the error.
export async function rejected(run, what) {
  let error;
  try {
    await run();
  } catch (e) {
    error = e;
  }
  assert(error, `${what} is refused`);
  return error;
}

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

// Asks again until `look` gives something.
export async function until(look, what, seconds = 100) {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const found = await look();
    if (found) return found;
    await sleep(250);
  }
  throw new Error(`gave up waiting for ${what}`);
}
