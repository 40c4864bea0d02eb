// A batch on its way to a validity proof, as the pages show it: the bar fills with the shards and with their proofs being joined, until L1 has verified
// the proof. `CAIRN_NETWORK` is what `cairn up --json --verifier proof` printed; `CAIRN_SHOTS` a folder for screenshots.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const network = JSON.parse(process.env.CAIRN_NETWORK);
const shots = process.env.CAIRN_SHOTS;
const site = network.explorer;
const PATIENCE = Number(process.env.CAIRN_PATIENCE || 600_000);
const started = Date.now();

const browser = await chromium.launch({
  executablePath: process.env.CAIRN_CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, colorScheme: "light", reducedMotion: "reduce" });
page.setDefaultTimeout(PATIENCE);
const complaints = [];
page.on("pageerror", (error) => complaints.push(error.message));

const batch = page.locator(".batch", { has: page.locator("a[href='/batch/1']") });
// How full the last stretch of the way is, in per cent, and what is said of the proof.
const look = () => batch.evaluate((node) => [
  parseInt([...node.querySelectorAll(".stretch-fill")].pop().style.getPropertyValue("--full")), node.querySelector(".batch-facts").textContent]);

await page.goto(site + "/");
await page.getByText("A batch is final when L1 has verified its validity proof.").waitFor();
await batch.waitFor();
const seen = [];
for (let shot = false; Date.now() - started < PATIENCE;) {
  const [full, words] = await look();
  const last = seen[seen.length - 1];
  if (!last || last.full !== full || last.words !== words) seen.push({ full, words });
  if (shots && !shot && full > 0 && full < 100 && /Proving|Joining/.test(words)) {
    mkdirSync(shots, { recursive: true });
    await page.screenshot({ path: shots + "/proving-desktop-light.png" });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 390, height: 844 });
    // Colours change over 0.4 s.
    await page.waitForTimeout(500);
    await page.screenshot({ path: shots + "/proving-phone-dark.png" });
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: "light" });
    shot = true;
  }
  if (await batch.locator(".pill-finalized").count()) break;
  await page.waitForTimeout(200);
}
// The bar never goes back while the batch is proven, and shows both halves of the work: shards, and joining.
const way = seen.filter((s) => /Proving \d|Joining \d|Proof \d/.test(s.words));
assert.ok(way.some((s) => /Proving \d+\/\d+ shards/.test(s.words)), JSON.stringify(seen));
assert.ok(way.some((s) => s.full > 0 && s.full < 100), JSON.stringify(seen));
assert.deepEqual(way.map((s) => s.full), way.map((s) => s.full).sort((a, b) => a - b), JSON.stringify(seen));
await batch.locator(".pill-finalized").waitFor();

await page.goto(site + "/batch/1");
const facts = page.locator("section", { has: page.getByRole("heading", { name: "Finality" }) });
await facts.getByText("validity proof", { exact: false }).first().waitFor();
await facts.getByText(/Proof 1\d\d\.?\d* KiB in/).waitFor();
await facts.getByText(/^\d+ bits$/).waitFor();
const known = await (await fetch(site + "/api/info")).json();
assert.equal(known.verifier.kind, "proof");
if (shots) await page.screenshot({ path: shots + "/proven-desktop-light.png", fullPage: true });
assert.deepEqual(complaints, [], "the browser complained");
console.log(JSON.stringify({ client: "chromium", version: browser.version(), flow: "a batch is proven while the page looks on", ok: true, seconds: (Date.now() - started) / 1000, seen: way }));
await browser.close();
