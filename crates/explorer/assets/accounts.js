// Pages of one address or token.

import { h } from "./dom.js";
import { get } from "./api.js";
import { count, ether, units, bytes, short } from "./format.js";
import * as p from "./parts.js";

function paged(query) {
  const before = query.get("before");
  return before ? "?before=" + encodeURIComponent(before) : "";
}

export async function address({ params, query, signal }) {
  const a = await get("/address/" + params[0], signal);
  const tab = query.get("tab") || "";
  const path = "/address/" + a.address;
  const api = "/address/" + a.address;
  let body;
  if (tab === "transfers") {
    const data = await get(api + "/transfers" + paged(query), signal);
    body = [data.rows.length ? p.table("Token transfers", p.transferColumns(), data.rows) : p.empty("No token has moved here"), p.pager(data, path, query)];
  } else if (tab === "internal") {
    const data = await get(api + "/internal" + paged(query), signal);
    body = [data.behind ? h("p.pad.faint", null, "The newest blocks are still being looked through.") : null,
      data.rows.length ? p.table("Internal calls", p.internalColumns({ address: a.address }), data.rows) : p.empty("No internal calls", "No contract has called this address with value or made it, nor has it done so itself."), p.pager(data, path, query)];
  } else if (tab === "tokens") {
    const data = await get(api + "/tokens" + paged(query), signal);
    const rows = data.rows.filter((r) => r.balance !== "0");
    body = [rows.length ? p.table("Tokens", [
      ["Token", (r) => h("a", { href: "/token/" + r.token, title: r.token }, (r.meta && r.meta.name) || short(r.token)), "strong"],
      ["Standard", (r) => h("span.method", null, r.meta ? r.meta.kind : "")],
      ["Balance", (r) => p.amount(r.balance, r.meta, 12), "num"],
    ], rows) : p.empty("No tokens"), p.pager(data, path, query)];
  } else if (tab === "code" && a.code) {
    body = code(a);
  } else {
    const data = await get(api + "/txs" + paged(query), signal);
    body = [data.rows.length ? p.table("Transactions", p.txColumns({ address: a.address }), data.rows) : p.empty("No transactions", a.balance === "0" ? "This address has not been seen on this chain." : "No transaction concerns this address: what it has came at genesis, or within the last moments."), p.pager(data, path, query)];
  }
  const kind = a.system ? "System contract" : a.code && a.code.delegate ? "Account with delegated code" : a.contract ? "Contract" : "Account";
  return h("div", null,
    p.heading(a.name || kind, a.name ? h("span.method", null, kind) : null, a.token ? h("a.button.small", { href: "/token/" + a.address }, "Token page") : null),
    h("div.address-line", null, h("span.mono.breakable", null, a.address), p.copyable(a.address, "the address")),
    p.card(null, p.facts([
      ["Balance", h("strong", null, ether(a.balance, 18))],
      ["Nonce", count(a.nonce)],
      ["Delegates to", a.code && a.code.delegate ? p.address(a.code.delegate, null, { full: true }) : null],
      ["Creator", a.code && a.code.creator ? h("span", null, p.address(a.code.creator), h("span.faint", null, " in "), p.tx(a.code.creationTx)) : null],
    ])),
    p.tabs(path, tab, [["", "Transactions", a.txs], ["internal", "Internal calls", a.internal], ["transfers", "Token transfers", a.transfers], ["tokens", "Tokens"], a.code ? ["code", "Code"] : null].filter(Boolean)),
    h("div.card", null, body));
}

function code(a) {
  return [p.facts([
    ["Size", bytes(a.code.bytes)],
    ["keccak256", h("span.mono.breakable", null, a.code.hash)],
    ["Functions", a.code.functions ? h("ul.plain.mono.small", null, a.code.functions.map((f) => h("li", null, f))) : null],
  ]), h("div.pad", null, h("pre.hex", { tabindex: "0" }, a.code.hex + (a.code.bytes * 2 + 2 > a.code.hex.length ? "…" : "")))];
}

export async function token({ params, query, signal }) {
  const t = await get("/token/" + params[0], signal);
  const tab = query.get("tab") || "";
  const path = "/token/" + t.address;
  let body;
  if (tab === "accounts") {
    const data = await get(path + "/accounts" + paged(query), signal);
    body = [data.rows.length ? p.table("Accounts", [
      ["Account", (r) => p.address(r.account, null, { full: false })],
      ["Balance", (r) => p.amount(r.balance, data.meta, 12), "num"],
    ], data.rows) : p.empty("Nobody has received it"), p.pager(data, path, query)];
  } else {
    const data = await get(path + "/transfers" + paged(query), signal);
    body = [data.rows.length ? p.table("Transfers", p.transferColumns({ token: true }), data.rows) : p.empty("No transfers"), p.pager(data, path, query)];
  }
  return h("div", null,
    p.heading(t.name || "Nameless token", h("span.faint", null, t.symbol), h("span.method", null, t.kind)),
    h("div.address-line", null, p.address(t.address, null, { full: true }), p.copyable(t.address, "the token's address")),
    t.l1Token ? null : h("p.faint.lead", null, "What a token calls itself is its own claim. Compare the address."),
    p.card(null, p.facts([
      ["Supply", t.supply === null || t.supply === undefined ? null : units(t.supply, t.decimals, 12) + " " + t.symbol],
      ["Decimals", String(t.decimals)],
      ["Bridged from L1 token", t.l1Token ? h("span.mono.breakable", null, t.l1Token) : null],
      ["First seen in block", p.block(t.firstBlock)],
    ])),
    p.tabs(path, tab, [["", "Transfers", t.transfers], ["accounts", "Accounts", t.accounts]]),
    h("div.card", null, body));
}
