// The first page: the chain as it moves.

import { h, keyed, replace } from "./dom.js";
import { get, live } from "./api.js";
import { count, many, ether, base } from "./format.js";
import * as p from "./parts.js";

export async function home({ info, signal, leave }) {
  const data = await get("/home", signal);
  const stats = h("dl.stats");
  const batches = h("div.batches");
  const blocks = h("div.rows");
  const txs = h("div.rows");
  const update = (now) => {
    draw(stats, now);
    keyed(batches, now.batches, (b) => b.number, (b) => batchRow(b, info));
    keyed(blocks, now.blocks, (b) => b.number, blockRow);
    keyed(txs, now.txs, (t) => t.hash, txRow);
    if (!now.batches.length) replace(batches, p.empty("No batch yet", "The first one is cut when there are transactions."));
    if (!now.txs.length) replace(txs, p.empty("No transactions yet"));
  };
  update(data);
  leave(live(update));
  const all = (title, href, words) => h("div.card-head", null, h("h2", null, title), h("a.more", { href }, words));
  return h("div", null,
    h("div.hero", null,
      h("h1", { tabindex: "-1" }, info.name),
      h("p.faint", null, "Chain ", h("span.mono", null, info.chainId), " settling on L1 ", h("span.mono", null, info.l1ChainId), ". ", finality(info))),
    stats,
    p.card(all("Batches on their way to L1", "/batches", "All batches"), batches),
    h("div.columns", null,
      p.card(all("Latest blocks", "/blocks", "All blocks"), blocks),
      p.card(all("Latest transactions", "/txs", "All transactions"), txs)));
}

function attesters(v) {
  return v.threshold + " attester" + (v.threshold === "1" ? " has" : "s have");
}

function finality(info) {
  const v = info.verifier || {};
  if (v.kind === "attesters") return "A batch is final when " + attesters(v) + " re-executed it; this is not a validity rollup.";
  if (v.kind === "proof") return "A batch is final when L1 has verified its validity proof.";
  if (v.kind === "both") return "A batch is final when L1 has verified its validity proof, and " + attesters(v) + " re-executed it.";
  return "";
}

function draw(node, now) {
  const speed = rate(now.blocks);
  const tiles = [
    ["Latest block", h("a", { href: "/block/" + now.head }, count(now.head)), now.blocks[0] ? p.time(now.blocks[0].timestamp) : ""],
    ["Transactions", h("a", { href: "/txs" }, count(now.totals.txs)), speed],
    ["Batches finalized", h("a", { href: "/batches" }, count(now.finalized)), "of " + count(now.sealed) + " sealed"],
    ["Accounts seen", count(now.totals.addresses), many(now.totals.contracts, "contract") + ", " + many(now.totals.tokens, "token")],
  ];
  keyed(node, tiles.map(([name]) => ({ name })), (t) => t.name, (t) => h("div.stat", null, h("dt", null, t.name), h("dd", null, h("span.stat-value"), h("span.stat-more"))));
  tiles.forEach(([, value, more], i) => {
    const tile = node.children[i];
    const put = (selector, content) => {
      const at = tile.querySelector(selector);
      const text = content instanceof Node ? content.textContent : String(content);
      if (at.textContent !== text) replace(at, content);
    };
    put(".stat-value", value);
    put(".stat-more", more);
  });
  if (now.indexed <= now.head && now.head - now.indexed > 50) node.dataset.behind = "Indexing block " + count(now.indexed);
  else delete node.dataset.behind;
}

function rate(blocks) {
  const with_txs = blocks.filter((b) => b.txs > 0);
  if (with_txs.length < 2) return "";
  const span = with_txs[0].timestamp - with_txs[with_txs.length - 1].timestamp;
  const sum = with_txs.slice(0, -1).reduce((n, b) => n + b.txs, 0);
  if (span <= 0 || Date.now() / 1000 - with_txs[0].timestamp > 60) return "";
  return (sum / span).toFixed(1) + " a second lately";
}

export function batchRow(b, info) {
  const range = b.firstBlock === b.lastBlock ? "block " + count(b.firstBlock) : "blocks " + count(b.firstBlock) + "–" + count(b.lastBlock);
  const links = [["commit", b.commit], ["prove", b.prove], ["execute", b.execute]].filter(([, t]) => t);
  return h("article.batch", null,
    h("div.batch-id", null,
      h("a.batch-number", { href: "/batch/" + b.number }, "#" + count(b.number)),
      p.status(b.status)),
    p.track(b),
    h("div.batch-facts", null,
      h("span", null, many(b.txs, "transaction") + ", " + range),
      h("span", null, p.proof(b, info.verifier)),
      h("span.batch-links", null, links.length ? ["L1: ", links.map(([name, t], i) => [i ? " · " : "", h("a", { href: "/l1/tx/" + t.hash, title: t.hash }, name)]), b.l1Gas ? " · " + count(b.l1Gas) + " gas" : ""] : "")));
}

function blockRow(b) {
  return h("div.row", null,
    h("div", null, h("a.row-title.num", { href: "/block/" + b.number }, count(b.number)), h("div.row-sub", null, p.time(b.timestamp))),
    h("div.row-mid", null, many(b.txs, "transaction"), h("div.row-sub", null, count(b.gasUsed) + " gas")),
    p.status(b.status));
}

function txRow(t) {
  return h("div.row", null,
    h("div", null,
      h("a.row-title.mono", { href: "/tx/" + t.hash, title: t.hash }, t.hash.slice(0, 12) + "…"),
      h("div.row-sub", null, p.time(t.timestamp))),
    h("div.row-mid", null,
      h("div", null, t.method ? h("span.method", null, t.method) : h("span.faint", null, base.symbol + " transfer")),
      h("div.row-sub", null, p.address(t.from), " → ", t.to ? p.address(t.to, t.toName) : p.address(t.created))),
    h("div.row-end", null, t.ok ? h("span.num", null, ether(t.value, 4)) : p.status("reverted")));
}

