// Deposits and withdrawals of everybody.

import { h } from "./dom.js";
import { get } from "./api.js";
import { short, many } from "./format.js";
import * as p from "./parts.js";

export function value(row) {
  return p.amount(row.amount, row.token || { symbol: short(row.l1Token), decimals: 18 });
}

export const depositColumns = [
  ["Deposit", (d) => d.block === null ? h("span.mono", { title: d.hash }, short(d.hash, 8, 6)) : p.tx(d.hash)],
  ["State", (d) => p.status(d.state)],
  ["Amount", value, "num"],
  ["From (L1)", (d) => h("span.mono", { title: d.from }, short(d.from))],
  ["To", (d) => p.address(d.to)],
  ["Age", (d) => p.time(d.timestamp)],
  ["Batch", (d) => p.batch(d.batch), "num"],
  ["L1 transaction", (d) => p.l1tx(d.l1Tx)],
];

export const withdrawalColumns = [
  ["Withdrawal", (w) => p.tx(w.hash)],
  ["State", (w) => p.status(w.state)],
  ["Amount", (w) => w.to ? value(w) : h("span.faint", null, "message"), "num"],
  ["From", (w) => p.address(w.from)],
  ["To (L1)", (w) => w.to ? h("span.mono", { title: w.to }, short(w.to)) : h("span.faint", null, "–")],
  ["Age", (w) => p.time(w.timestamp)],
  ["Batch", (w) => p.batch(w.batch), "num"],
  ["L1 transaction", (w) => p.l1tx(w.l1Tx)],
];

export async function bridge({ query, signal }) {
  const tab = query.get("tab") || "";
  const before = query.get("before");
  const data = await get((tab === "withdrawals" ? "/withdrawals" : "/deposits") + (before ? "?before=" + encodeURIComponent(before) : ""), signal);
  const columns = tab === "withdrawals" ? withdrawalColumns : depositColumns;
  const none = tab === "withdrawals" ? "No withdrawals yet" : "No deposits yet";
  return h("div", null,
    p.heading("Bridge", data.total !== null && data.total !== undefined ? h("span.faint", null, tab === "withdrawals" ? many(data.total, "message") + " to L1" : many(data.total, "deposit")) : null,
      h("a.button.primary", { href: "/portal" }, "Open the portal")),
    p.tabs("/bridge", tab, [["", "Deposits"], ["withdrawals", "Withdrawals"]]),
    h("div.card", null, data.rows.length ? p.table(tab || "Deposits", columns, data.rows) : p.empty(none)),
    p.pager(data, "/bridge", query));
}
