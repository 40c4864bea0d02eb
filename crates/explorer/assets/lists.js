// Lists: blocks, transactions, batches, tokens, contracts.

import { h } from "./dom.js";
import { get } from "./api.js";
import { count, bytes } from "./format.js";
import * as p from "./parts.js";
import { batchRow } from "./home.js";

// `beside` is a list of the same kind: [its name, its path].
function list(title, path, api, columns, none, beside) {
  return async ({ query, signal }) => {
    const before = query.get("before");
    const data = await get(api + (before ? "?before=" + encodeURIComponent(before) : ""), signal);
    return h("div", null,
      p.heading(title, data.total !== null && data.total !== undefined ? h("span.faint", null, count(data.total) + " in all") : null,
        beside ? h("a.button.small", { href: beside[1] }, beside[0]) : null),
      data.rows.length ? h("div.card", null, p.table(title, columns, data.rows)) : h("div.card", null, p.empty(none)),
      p.pager(data, path, query));
  };
}

export const blocks = list("Blocks", "/blocks", "/blocks", [
  ["Block", (b) => p.block(b.number), "num"],
  ["Age", (b) => p.time(b.timestamp)],
  ["Transactions", (b) => h("span", null, count(b.txs), b.deposits ? h("span.faint", null, " (" + count(b.deposits) + " from L1)") : null), "num"],
  ["Gas used", (b) => count(b.gasUsed), "num"],
  ["Pubdata", (b) => bytes(b.pubdata), "num"],
  ["Batch", (b) => p.batch(b.batch), "num"],
  ["Status", (b) => p.status(b.status)],
], "No blocks yet");

export const txs = list("Transactions", "/txs", "/txs", p.txColumns(), "No transactions yet", ["Internal calls", "/internal"]);

export const internal = list("Internal calls", "/internal", "/internal", p.internalColumns(), "No contract has called another with value yet", ["Transactions", "/txs"]);

export const tokens = list("Tokens", "/tokens", "/tokens", [
  ["Token", (t) => h("a", { href: "/token/" + t.address, title: t.address }, t.name || "Nameless"), "strong"],
  ["Symbol", (t) => t.symbol || "–"],
  ["Standard", (t) => h("span.method", null, t.kind)],
  ["Transfers", (t) => count(t.transfers), "num"],
  ["Accounts", (t) => count(t.accounts), "num"],
  ["From L1", (t) => t.l1Token ? h("span.mono", { title: t.l1Token }, t.l1Token.slice(0, 8) + "…" + t.l1Token.slice(-4)) : h("span.faint", null, "–")],
], "No tokens yet");

export const contracts = list("Contracts", "/contracts", "/contracts", [
  ["Contract", (c) => p.address(c.address, c.name), "strong"],
  ["Kind", (c) => c.system ? h("span.method", null, "system") : c.creator ? "deployed" : "made by a contract"],
  ["Creator", (c) => p.address(c.creator)],
  ["Since", (c) => p.tx(c.tx)],
  ["Age", (c) => p.time(c.timestamp)],
  ["Transactions", (c) => count(c.txs), "num"],
], "No contracts yet");

export async function batches({ query, signal, info }) {
  const before = query.get("before");
  const data = await get("/batches" + (before ? "?before=" + encodeURIComponent(before) : ""), signal);
  return h("div", null,
    p.heading("Batches", h("span.faint", null, count(data.total) + " sealed")),
    h("div.card", null, data.rows.length ? h("div.batches", null, data.rows.map((b) => batchRow(b, info))) : p.empty("No batch yet")),
    p.pager(data, "/batches", query));
}
