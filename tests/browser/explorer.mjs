// A person's way through the explorer and the portal: a deposit clicked through to finality, a withdrawal to the coins on L1, and every page looked at
// in both themes and both widths. `CAIRN_NETWORK` is what `cairn up --json` printed; `CAIRN_SHOTS` a folder for screenshots.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const network = JSON.parse(process.env.CAIRN_NETWORK);
const shots = process.env.CAIRN_SHOTS;
const only = process.env.CAIRN_ONLY;
const site = network.explorer;
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const PATIENCE = Number(process.env.CAIRN_PATIENCE || 240_000);

const browser = await chromium.launch({
  executablePath: process.env.CAIRN_CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});
const context = await browser.newContext({ viewport: DESKTOP, colorScheme: "light", reducedMotion: "reduce" });
context.setDefaultTimeout(PATIENCE);
const page = await context.newPage();
const complaints = [];
page.on("pageerror", (error) => complaints.push("error: " + error.message));
page.on("console", (message) => {
  // A browser reports every answer above 399, and some of ours are meant.
  if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) complaints.push(message.text());
});
page.on("request", (request) => {
  if (!request.url().startsWith(site) && !request.url().startsWith("data:")) complaints.push("foreign request: " + request.url());
});

async function open(path) {
  await page.goto(site + path);
  await page.locator("main h1").first().waitFor();
}

async function step(name, run) {
  if (only && !name.includes(only)) return;
  const started = Date.now();
  try {
    await run();
  } catch (error) {
    if (shots) await page.screenshot({ path: shots + "/failed.png" });
    throw new Error(name + ": " + error.message, { cause: error });
  }
  console.log(JSON.stringify({ client: "chromium", version: browser.version(), flow: name, ok: true, seconds: (Date.now() - started) / 1000 }));
}

let n = 0;
// JSON-RPC of the rollup or L1, as any client sends it.
async function rpc(url, method, params) {
  const body = JSON.stringify({ jsonrpc: "2.0", id: ++n, method, params });
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  const answer = await response.json();
  if (answer.error) throw new Error(method + ": " + answer.error.message);
  return answer.result;
}

async function mined(url, hash) {
  for (let i = 0; i < 600; i++) {
    const receipt = await rpc(url, "eth_getTransactionReceipt", [hash]);
    if (receipt) return receipt;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("not mined: " + hash);
}

async function json(path) {
  const response = await fetch(site + "/api" + path);
  return response.json();
}

const [first, second] = network.accounts.map((a) => a.address);
const HOSTILE = "<img src=x onerror=alert(1)>";

await step("the home page shows the chain", async () => {
  await open("/");
  await page.getByText("Latest blocks").waitFor();
  assert.ok(await page.locator(".batch").count() > 0, "batches are shown");
  assert.ok(await page.locator("section:has-text('Latest transactions') .row").count() > 0);
});

await step("use a development account", async () => {
  await open("/portal");
  await page.locator("#dev-account").selectOption(first);
  await page.locator("#use-dev").click();
  await page.getByText("From L1 to this chain.").waitFor();
});

await step("a deposit is clicked through to finality", async () => {
  await page.locator("#amount").fill("1.25");
  await page.locator("#to").fill(second);
  await page.locator("#go").click();
  const activity = page.locator(".activity").first();
  await activity.getByText("Arrived:").waitFor();
  await activity.getByText("Final on L1").waitFor();
  assert.equal(await activity.locator(".station.done").count(), 4);
  const deposits = await json("/deposits?address=" + second);
  assert.ok(deposits.rows.some((d) => d.amount === "1250000000000000000" && d.state === "finalized"), JSON.stringify(deposits.rows));
  assert.ok(deposits.rows.every((d) => d.l1Tx), "each deposit names its L1 transaction");
});

await step("send", async () => {
  const before = BigInt(await rpc(network.l2.http, "eth_getBalance", [second, "latest"]));
  await page.getByRole("link", { name: "Send", exact: true }).click();
  await page.getByText("To another account of this chain.").waitFor();
  await page.locator("#amount").fill("0.5");
  await page.locator("#to").fill(second);
  await page.locator("#go").click();
  await page.locator(".activity").first().getByText("Send: done").waitFor();
  const after = BigInt(await rpc(network.l2.http, "eth_getBalance", [second, "latest"]));
  assert.equal(after - before, 5n * 10n ** 17n);
});

await step("bad amounts and recipients are refused with words", async () => {
  for (const [amount, to, words] of [["0", second, "above zero"], ["1e5", second, "is a number"], ["999999999", second, "more than you have"], ["1", "0x12", "not an address"], ["1", "", "Who receives"]]) {
    await page.locator("#amount").fill(amount);
    await page.locator("#to").fill(to);
    await page.locator("#go").click();
    await page.locator(".problem", { hasText: words }).waitFor();
  }
});

await step("a withdrawal is clicked through to the coins on L1", async () => {
  const receiver = "0x00000000000000000000000000000000000abcde";
  await page.getByRole("link", { name: "Withdraw", exact: true }).click();
  await page.getByText("From this chain to L1.").waitFor();
  await page.locator("#amount").fill("0.75");
  await page.locator("#to").fill(receiver);
  await page.locator("#go").click();
  await page.locator(".activity").first().getByText("finalize it on L1").click();
  await page.locator("button.finalize").first().click();
  await page.locator(".activity").first().locator(".pill-finalized").waitFor();
  const balance = BigInt(await rpc(network.l1.http, "eth_getBalance", [receiver, "latest"]));
  assert.equal(balance, 75n * 10n ** 16n);
  await page.locator("td .pill-finalized").first().waitFor();
});

let hostile = null;
let failed = null;
let moved = null;
await step("what contracts say of themselves is text, never markup", async () => {
  // The test ERC-20, deployed with a name and symbol that would run if anything took them for HTML; it ends in a mint, and so in a transfer.
  const artifact = JSON.parse(process.env.CAIRN_TOKEN);
  const word = (v) => BigInt(v).toString(16).padStart(64, "0");
  const text = (s) => word(s.length) + Buffer.from(s).toString("hex").padEnd(Math.ceil(s.length / 32) * 64, "0");
  const inputs = artifact.abi.find((e) => e.type === "constructor").inputs.map((i) => i.type);
  let head = "", tail = "";
  const values = { string: [HOSTILE, "<b>X</b>"], uint8: ["18"], uint256: [(10n ** 24n).toString()], address: [first] };
  for (const type of inputs) {
    const value = values[type].shift();
    if (type === "string") {
      head += word(inputs.length * 32 + tail.length / 2);
      tail += text(value);
    } else head += word(value);
  }
  const data = artifact.bytecode + head + tail;
  const deployed = await mined(network.l2.http, await rpc(network.l2.http, "eth_sendTransaction", [{ from: first, data }]));
  hostile = deployed.contractAddress;
  const mint = "0x40c10f19" + word(first) + word(5n * 10n ** 18n);
  await mined(network.l2.http, await rpc(network.l2.http, "eth_sendTransaction", [{ from: first, to: hostile, data: mint }]));
  const transfer = "0xa9059cbb" + word(second) + word(10n ** 18n);
  moved = (await mined(network.l2.http, await rpc(network.l2.http, "eth_sendTransaction", [{ from: first, to: hostile, data: transfer }]))).transactionHash;
  // One that fails: more than there is, with a gas limit so that nothing is estimated.
  const greedy = "0xa9059cbb" + word(second) + word(10n ** 30n);
  failed = (await mined(network.l2.http, await rpc(network.l2.http, "eth_sendTransaction", [{ from: first, to: hostile, data: greedy, gas: "0x30d40" }]))).transactionHash;
  let alerts = 0;
  page.on("dialog", (dialog) => { alerts++; dialog.dismiss(); });
  await new Promise((done) => setTimeout(done, 500));
  for (const path of ["/token/" + hostile, "/tokens", "/tx/" + moved, "/address/" + second + "?tab=tokens", "/address/" + second + "?tab=transfers"]) {
    await open(path);
    await page.getByText(HOSTILE).first().waitFor();
  }
  assert.equal(await page.locator("main img").count(), 0);
  assert.equal(alerts, 0);
  await page.locator("#q").fill("<img");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: HOSTILE }).waitFor();
});

await step("a failed transaction says why, and shows its calls", async () => {
  await open("/tx/" + failed);
  await page.locator("#failure", { hasText: "ERC20InsufficientBalance" }).waitFor();
  await page.getByRole("link", { name: "Call trace" }).click();
  await page.locator(".trace-call").first().click();
  await page.getByText("transfer(address,uint256)").first().waitFor();
});

let passed = null;
const within = "0x00000000000000000000000000000000000c0ffe";
await step("calls by contracts show with the transaction, and with who was paid within it", async () => {
  // A contract that calls the address in its calldata with the value that it got, then makes an empty contract.
  const code = "0x60188060095f395ff36000600060006000346000355af150600060006000f05000";
  const deployed = await mined(network.l2.http, await rpc(network.l2.http, "eth_sendTransaction", [{ from: first, data: code }]));
  const call = { from: first, to: deployed.contractAddress, value: "0xde0b6b3a7640000", data: "0x" + within.slice(2).padStart(64, "0") };
  passed = (await mined(network.l2.http, await rpc(network.l2.http, "eth_sendTransaction", [call]))).transactionHash;
  for (let i = 0; i < 100 && (await json("/tx/" + passed + "/internal")).rows.length < 2; i++) await new Promise((done) => setTimeout(done, 100));
  await open("/tx/" + passed);
  await page.getByRole("link", { name: "Internal calls" }).click();
  await page.locator("td[data-label=Kind]", { hasText: /^create$/ }).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 2);
  await page.locator("td a[title='" + within + "' i]").click();
  await page.getByText("internal", { exact: true }).first().waitFor();
  await page.getByRole("link", { name: "Internal calls" }).click();
  await page.locator("td[data-label=Value]", { hasText: "1 ETH" }).waitFor();
  await open("/txs");
  await page.getByRole("link", { name: "Internal calls" }).click();
  await page.locator("tbody tr").first().waitFor();
});

let sponsored = null;
await step("a transaction of type 0x71 shows its account, paymaster and signature", async () => {
  sponsored = await sendAccountTransaction(network.paymasters && network.paymasters.sponsor);
  await open("/tx/" + sponsored);
  const card = page.locator("section", { has: page.getByRole("heading", { name: "Account abstraction" }) });
  await card.getByText("a plain one, by its key").waitFor();
  await card.getByText("65 B").waitFor();
  if (network.paymasters) await card.getByText("sponsored: the sender pays nothing").waitFor();
  await open("/tx/" + sponsored + "?tab=trace");
  await page.locator(".trace-call").first().waitFor();
  if (network.paymasters) await page.getByText(".validateAndPayForPaymasterTransaction").waitFor();
});

// RLP, as far as a transaction needs it: byte strings in hex, and lists.
function rlp(item) {
  const head = (base, bytes) => {
    if (bytes < 56) return Buffer.from([base + bytes]);
    const size = Buffer.from(bytes.toString(16).padStart(bytes > 255 ? 4 : 2, "0"), "hex");
    return Buffer.concat([Buffer.from([base + 55 + size.length]), size]);
  };
  if (Array.isArray(item)) {
    const inner = Buffer.concat(item.map(rlp));
    return Buffer.concat([head(0xc0, inner.length), inner]);
  }
  const bytes = Buffer.from(item.slice(2), "hex");
  return bytes.length === 1 && bytes[0] < 0x80 ? bytes : Buffer.concat([head(0x80, bytes.length), bytes]);
}

// A transfer of type 0x71 by a development account, whose node signs the typed data; a paymaster pays for it where there is one.
async function sendAccountTransaction(paymaster) {
  const number = (n) => (BigInt(n) === 0n ? "0x" : "0x" + (BigInt(n).toString(16).length % 2 ? "0" : "") + BigInt(n).toString(16));
  const nonce = await rpc(network.l2.http, "eth_getTransactionCount", [first, "pending"]);
  const chainId = await rpc(network.l2.http, "eth_chainId", []);
  const fee = "0x3b9aca00", gas = "0xf4240", perPubdata = "0xc350", value = "0x38d7ea4c68000";
  const general = "0x8c5a3445" + "20".padStart(64, "0") + "0".repeat(64);
  const input = paymaster ? general : "0x";
  const fields = "uint256 txType,uint256 from,uint256 to,uint256 gasLimit,uint256 gasPerPubdataByteLimit,uint256 maxFeePerGas,uint256 maxPriorityFeePerGas,uint256 paymaster,uint256 nonce,uint256 value,bytes data,bytes32[] factoryDeps,bytes paymasterInput";
  const typed = {
    types: {
      EIP712Domain: [{ name: "name", type: "string" }, { name: "version", type: "string" }, { name: "chainId", type: "uint256" }],
      Transaction: fields.split(",").map((f) => ({ type: f.split(" ")[0], name: f.split(" ")[1] })),
    },
    primaryType: "Transaction", domain: { name: "zkSync", version: "2", chainId: Number(chainId) },
    message: {
      txType: "0x71", from: first, to: second, gasLimit: gas, gasPerPubdataByteLimit: perPubdata, maxFeePerGas: fee, maxPriorityFeePerGas: fee,
      paymaster: paymaster || "0x0", nonce, value, data: "0x", factoryDeps: [], paymasterInput: input,
    },
  };
  const signature = await rpc(network.l2.http, "eth_signTypedData_v4", [first, typed]);
  const raw = "0x71" + rlp([number(nonce), fee, fee, number(gas), second, number(value), "0x", number(chainId), "0x", "0x", number(chainId), first,
    number(perPubdata), [], signature, paymaster ? [paymaster, input] : []]).toString("hex");
  const hash = await rpc(network.l2.http, "eth_sendRawTransaction", [raw]);
  assert.equal((await mined(network.l2.http, hash)).status, "0x1");
  return hash;
}

await step("a deposit that fails is claimed back", async () => {
  const artifact = JSON.parse(process.env.CAIRN_TOKEN);
  const word = (v) => BigInt(v).toString(16).padStart(64, "0");
  const text = (s) => word(s.length) + Buffer.from(s).toString("hex").padEnd(64, "0");
  const l1 = async (tx) => mined(network.l1.http, await rpc(network.l1.http, "eth_sendTransaction", [{ from: first, ...tx }]));
  const made = await l1({ data: artifact.bytecode + word(96) + word(160) + word(18) + text("Lost and found") + text("LAF") });
  const token = made.contractAddress;
  await l1({ to: token, data: "0x40c10f19" + word(first) + word(1000) });
  const response = await fetch(site + "/api/portal/plan", { method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ action: "deposit", from: first, to: first, token, amount: "400" }) });
  const { steps } = await response.json();
  for (const { title, tx } of steps) {
    // Too little gas for this chain to make the token with: the operation fails here. The gas limit is the request's fourth field.
    const data = title === "Deposit" ? tx.data.slice(0, 10 + 64 * 4) + word(60_000) + tx.data.slice(10 + 64 * 5) : tx.data;
    assert.equal((await l1({ to: tx.to, value: tx.value, data })).status, "0x1", title);
  }
  const balance = () => rpc(network.l1.http, "eth_call", [{ to: token, data: "0x70a08231" + word(first) }, "latest"]);
  assert.equal(BigInt(await balance()), 600n);
  await open("/portal?tab=withdrawals");
  if (await page.locator("#use-dev").count()) {
    await page.locator("#dev-account").selectOption(first);
    await page.locator("#use-dev").click();
  }
  await page.locator("button.claim").first().click();
  await page.locator("td .pill-finalized", { hasText: "Claimed back" }).first().waitFor();
  assert.equal(BigInt(await balance()), 1000n);
  if (shots) {
    mkdirSync(shots, { recursive: true });
    await page.screenshot({ path: shots + "/claims-desktop-light.png", fullPage: true });
    await page.setViewportSize(PHONE);
    await page.screenshot({ path: shots + "/claims-phone-light.png", fullPage: true });
    await page.setViewportSize(DESKTOP);
  }
});

await step("search finds hashes, numbers and addresses", async () => {
  const block = await json("/block/1");
  for (const [text, path] of [[block.rows[0].hash, "/tx/"], [second, "/address/"], [block.hash, "/block/1"]]) {
    await page.locator("#q").fill(text);
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.pathname.startsWith(path));
  }
  await page.locator("#q").fill("zzz");
  await page.keyboard.press("Enter");
  await page.getByText("Nothing found").waitFor();
});

await step("keyboard and screen readers", async () => {
  await open("/");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  const nameless = await page.evaluate(() => [...document.querySelectorAll("a, button, input, select")]
    .filter((e) => !(e.textContent.trim() || e.getAttribute("aria-label") || (e.labels && e.labels.length))).map((e) => e.outerHTML));
  assert.deepEqual(nameless, []);
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "q");
});

await step("the theme follows the system, and the button", async () => {
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await background();
  assert.notEqual(light, dark);
  await page.locator("#theme").click();
  assert.equal(await background(), light);
  await page.reload();
  assert.equal(await background(), light, "the choice is remembered");
  await page.evaluate(() => localStorage.clear());
  await page.emulateMedia({ colorScheme: "light" });
});

await step("a browser wallet: the network is added, and it signs", async () => {
  // An EIP-1193 provider over the node's own development accounts, which knows no network at first.
  const wallet = await context.newPage();
  await wallet.addInitScript(({ urls, account }) => {
    let chain = "0x1";
    const known = new Set(["0x1"]);
    window.asked = [];
    window.ethereum = {
      request: async ({ method, params }) => {
        window.asked.push(method);
        if (method === "eth_requestAccounts") return [account];
        if (method === "eth_chainId") return chain;
        if (method === "wallet_switchEthereumChain") {
          if (!known.has(params[0].chainId)) throw Object.assign(new Error("unknown network"), { code: 4902 });
          chain = params[0].chainId;
          return null;
        }
        if (method === "wallet_addEthereumChain") {
          if (!params[0].rpcUrls[0].startsWith("http") || !params[0].chainName) throw new Error("malformed");
          known.add(params[0].chainId);
          chain = params[0].chainId;
          return null;
        }
        return window.forward(urls[chain], method, params);
      },
    };
  }, { urls: { ["0x" + network.l2.chain_id.toString(16)]: network.l2.http, ["0x" + network.l1.chain_id.toString(16)]: network.l1.http }, account: second });
  await wallet.exposeFunction("forward", rpc);
  await wallet.goto(site + "/portal");
  await wallet.getByRole("button", { name: "Connect Browser wallet" }).click();
  await wallet.getByRole("link", { name: "Send", exact: true }).click();
  await wallet.getByText("To another account of this chain.").waitFor();
  await wallet.locator("#amount").fill("0.01");
  await wallet.locator("#to").fill(first);
  await wallet.locator("#go").click();
  await wallet.locator(".activity").first().getByText("Send: done").waitFor();
  const asked = await wallet.evaluate(() => window.asked);
  for (const method of ["wallet_switchEthereumChain", "wallet_addEthereumChain", "eth_sendTransaction"]) assert.ok(asked.includes(method), method);
  await wallet.close();
});

await step("pages fit the width of a phone, and nothing shifts", async () => {
  const txs = await json("/txs");
  const paths = ["/", "/blocks", "/txs", "/batches", "/batch/1", "/block/1", "/tx/" + txs.rows[0].hash, "/tx/" + failed + "?tab=trace", "/tx/" + failed + "?tab=logs", "/tx/" + passed + "?tab=internal", "/address/" + within + "?tab=internal", "/internal", "/address/" + second, "/tokens", "/token/" + hostile, "/contracts", "/bridge", "/bridge?tab=withdrawals", "/portal", "/nothing/here", "/tx/0x" + "12".repeat(32)];
  await page.setViewportSize(PHONE);
  for (const path of paths) {
    await page.goto(site + path);
    await page.locator("main h1, main .empty").first().waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 0, path + " is " + wide + " pixels too wide");
  }
  await page.setViewportSize(DESKTOP);
});

if (shots) {
  await step("screenshots", async () => {
    mkdirSync(shots, { recursive: true });
    const batches = await json("/batches");
    const final = batches.rows.find((b) => b.status === "finalized").number;
    const deposit = (await json("/deposits")).rows[0].hash;
    const pages = [["home", "/"], ["batch", "/batch/" + final], ["tx", "/tx/" + deposit], ["trace", "/tx/" + failed + "?tab=trace"], ["failed", "/tx/" + failed], ["account", "/tx/" + sponsored], ["steps", "/tx/" + sponsored + "?tab=trace"], ["logs", "/tx/" + moved + "?tab=logs"], ["internal", "/tx/" + passed + "?tab=internal"], ["paid", "/address/" + within + "?tab=internal"], ["internals", "/internal"], ["address", "/address/" + second], ["token", "/token/" + hostile], ["tokens", "/tokens"], ["blocks", "/blocks"], ["block", "/block/1"], ["bridge", "/bridge"], ["withdrawals", "/bridge?tab=withdrawals"], ["contracts", "/contracts"], ["portal", "/portal"], ["missing", "/tx/0x" + "12".repeat(32)], ["l1", "/l1/tx/" + batches.rows.find((b) => b.commit).commit.hash]];
    for (const [theme, viewport, size] of [["light", DESKTOP, "desktop"], ["dark", DESKTOP, "desktop"], ["light", PHONE, "phone"], ["dark", PHONE, "phone"]]) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme: theme });
      for (const [name, path] of pages) {
        await page.goto(site + path);
        await page.locator("main h1, main .empty").first().waitFor();
        await page.waitForTimeout(150);
        await page.screenshot({ path: `${shots}/${name}-${size}-${theme}.png`, fullPage: name !== "trace" });
      }
    }
  });
}

assert.deepEqual(complaints, [], "the browser complained");
await browser.close();
