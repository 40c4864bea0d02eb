// Pieces that several pages are made of.

import { h, svg, replace } from "./dom.js";
import { short, units, ago, date, count, bytes, seconds, base } from "./format.js";

export function toast(words) {
  const box = document.getElementById("toast");
  replace(box, words);
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { box.hidden = true; }, 3500);
}

export function copyable(text, what) {
  const button = h("button.copy", { type: "button", "aria-label": "Copy " + (what || "it"), title: "Copy" },
    svg("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" },
      svg("path", { d: "M5 5V2.5h8.5V11H11M2.5 5H11v8.5H2.5z" })));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied");
    } catch (e) {
      toast("The browser does not allow copying here");
    }
  });
  return button;
}

export function time(timestamp) {
  if (!timestamp) return h("span.faint", null, "–");
  return h("time", { datetime: new Date(timestamp * 1000).toISOString(), title: date(timestamp), data: { ts: timestamp } }, ago(timestamp));
}

setInterval(() => {
  for (const node of document.querySelectorAll("time[data-ts]")) {
    const text = ago(Number(node.dataset.ts));
    if (node.textContent !== text) node.textContent = text;
  }
}, 1000);

const ZERO = "0x0000000000000000000000000000000000000000";

// An address by its name where it has one, else cut short.
export function address(a, name, options = {}) {
  if (!a) return h("span.faint", null, "–");
  if (a.toLowerCase() === ZERO) return h("span.faint", { title: a }, "0x0 (none)");
  const text = options.full ? a : name || short(a);
  return h("a" + (name && !options.full ? "" : ".mono"), { href: "/address/" + a, title: a }, text);
}

export function tx(hash, options = {}) {
  if (!hash) return h("span.faint", null, "–");
  return h("a.mono", { href: "/tx/" + hash, title: hash }, options.full ? hash : short(hash, 8, 6));
}

export function l1tx(hash, options = {}) {
  if (!hash) return h("span.faint", null, "–");
  return h("a.mono", { href: "/l1/tx/" + hash, title: hash }, options.full ? hash : short(hash, 8, 6));
}

export function block(n) {
  return n === null || n === undefined ? h("span.faint", null, "–") : h("a.num", { href: "/block/" + n }, count(n));
}

export function batch(n) {
  return n === null || n === undefined || n === 0 ? h("span.faint", null, "–") : h("a.num", { href: "/batch/" + n }, "#" + count(n));
}

const WORDS = {
  pool: "In the pool", pending: "Pending", processed: "Processed", committed: "Committed", proven: "Proven", finalized: "Finalized",
  waiting: "Waiting", failed: "Failed", ready: "Ready to finalize", success: "Success", reverted: "Failed",
};

export function status(name, words) {
  return h("span.pill", { class: "pill-" + name }, h("span.dot", { "aria-hidden": "true" }), words || WORDS[name] || name);
}

export function outcome(ok) {
  return ok ? status("success") : status("reverted");
}

const STEPS = ["pending", "processed", "committed", "finalized"];

// How much of the work on a proof is done, from 0 to 1: its shards, then their proofs joined into one.
function provenPart(p) {
  const shards = p.shards ? p.done / p.shards : 0;
  if (!p.joinSteps) return p.status === "joining" ? 0.5 : shards * (p.joinSteps === undefined ? 1 : 0.5);
  return 0.5 + 0.5 * (p.joined / p.joinSteps);
}

// A batch's way to L1 as a line of four stations; the last stretch fills with the proof.
export function track(b) {
  const reached = b.status === "proven" ? 2 : STEPS.indexOf(b.status);
  const proving = b.proving;
  let part = 0;
  if (b.status === "proven" || (proving && proving.status === "proven")) part = 1;
  else if (proving) part = provenPart(proving);
  const stations = STEPS.map((name, i) => {
    const state = i < reached || b.status === "finalized" ? "done" : i === reached ? "now" : "todo";
    const words = WORDS[name] + (state === "now" ? " (now)" : "");
    return h("li.station", { class: state, "aria-current": state === "now" ? "step" : null },
      i > 0 ? stretch(i <= reached ? 1 : i === 3 && reached === 2 ? part : 0) : null,
      h("span.bead", { "aria-hidden": "true" }),
      h("span.station-name", null, WORDS[name]),
      h("span.hidden", null, words));
  });
  return h("ol.track", { "aria-label": "Batch " + b.number + ": " + WORDS[b.status] }, stations);
}

function stretch(full) {
  const bar = h("span.stretch-fill");
  bar.style.setProperty("--full", Math.round(full * 100) + "%");
  return h("span.stretch", { "aria-hidden": "true" }, bar);
}

// What is known of a batch's proof, in a few words.
export function proof(b, verifier) {
  const p = b.proving;
  if (p) {
    if (p.status === "failed") return "Proof failed: " + (p.failure || "");
    if (p.status === "proven") return "Proof " + bytes(p.proofBytes) + " in " + seconds(p.spentMs / 1000);
    if (p.status === "joining") return "Joining " + (p.joinSteps ? p.joined + "/" + p.joinSteps + " proofs" : "the shards' proofs");
    return p.shards ? "Proving " + p.done + "/" + p.shards + " shards" : "Proving";
  }
  if (b.status === "pending") return "Open";
  if (verifier && verifier.kind === "attesters") return b.prove ? "Attested" : "Waiting for attesters";
  return b.prove ? "Proof verified" : "Waiting for a proof";
}

export function amount(value, meta, places) {
  const known = meta && meta.symbol;
  const symbol = known ? meta.symbol : "";
  return h("span.amount", { title: units(value, meta ? meta.decimals : 0, 255) + " " + symbol },
    units(value, meta ? meta.decimals : 0, places), " ", h("span.symbol", null, symbol || (meta ? "?" : "units")));
}

export function card(title, ...children) {
  const head = typeof title === "string" ? h("div.card-head", null, h("h2", null, title)) : title;
  return h("section.card", null, head, ...children);
}

export function heading(title, ...more) {
  return h("div.heading", null, h("h1", { tabindex: "-1" }, title), h("div.heading-more", null, ...more));
}

// Rows of [name, value]; empty values are left out.
export function facts(rows) {
  return h("dl.facts", null, rows.filter((r) => r && r[1] !== null && r[1] !== undefined)
    .map(([name, value, hint]) => h("div.fact", null, h("dt", { title: hint }, name), h("dd", null, value))));
}

export function empty(words, more) {
  return h("div.empty", null,
    svg("svg", { viewBox: "0 0 32 32", width: 40, height: 40, "aria-hidden": "true" },
      svg("ellipse", { cx: 16, cy: 25.5, rx: 11, ry: 4.2 }), svg("ellipse", { cx: 15, cy: 17, rx: 7.6, ry: 3.6 })),
    h("p", null, words), more ? h("p.faint", null, more) : null);
}

export function failure(error, again) {
  const missing = error.status === 404;
  return h("div.empty", { role: "alert" },
    h("p.big", null, missing ? "Nothing here" : "That did not work"),
    h("p.faint", null, error.message),
    again ? h("button.button", { type: "button", onclick: again }, "Try again") : h("a.button", { href: "/" }, "Home"));
}

export function skeleton(rows = 8) {
  return h("div.skeleton", { "aria-busy": "true", "aria-label": "Loading" }, Array.from({ length: rows }, () => h("div.bone")));
}

// A table that turns into cards on a phone. Columns: [title, cell of a row, class].
export function table(caption, columns, rows, key) {
  const body = h("tbody");
  for (const row of rows) body.append(tableRow(columns, row));
  return h("div.table-wrap", null, h("table", { data: { key } },
    h("caption.hidden", null, caption),
    h("thead", null, h("tr", null, columns.map(([title, , cls]) => h("th", { scope: "col", class: cls }, title)))),
    body));
}

export function tableRow(columns, row) {
  return h("tr", null, columns.map(([title, cell, cls]) => h("td", { class: cls, data: { label: title } }, cell(row))));
}

export function pager(data, path, query) {
  const link = (before) => {
    const q = new URLSearchParams(query);
    if (before) q.set("before", before); else q.delete("before");
    const text = q.toString();
    return path + (text ? "?" + text : "");
  };
  const first = !new URLSearchParams(query).get("before");
  if (first && !data.next) return null;
  return h("nav.pager", { "aria-label": "Pages" },
    first ? h("span.button.off", { "aria-disabled": "true" }, "Newest") : h("a.button", { href: link(null) }, "Newest"),
    data.next ? h("a.button", { href: link(data.next), rel: "next" }, "Older") : h("span.button.off", { "aria-disabled": "true" }, "Older"));
}

// Tabs that live in the address: each is a link, so back and reload work.
export function tabs(path, current, all) {
  return h("nav.tabs", { "aria-label": "Sections" }, all.map(([id, title, n]) =>
    h("a.tab", { href: id ? path + "?tab=" + id : path, "aria-current": id === current ? "page" : null },
      title, n !== undefined && n !== null ? h("span.badge", null, count(n)) : null)));
}

export const txColumns = (options = {}) => [
  ["Transaction", (t) => h("span.with-dot", null, t.ok ? null : h("span.failed-mark", { title: "Failed", role: "img", "aria-label": "Failed" }, "!"), tx(t.hash))],
  ["Method", (t) => t.method ? h("span.method", { title: t.method }, t.method) : h("span.faint", null, base.symbol + " transfer")],
  options.address ? ["", (t) => direction(t, options.address), "narrow"] : null,
  ["Block", (t) => block(t.block), "num"],
  ["Age", (t) => time(t.timestamp)],
  ["From", (t) => address(t.from)],
  ["To", (t) => t.to ? address(t.to, t.toName) : h("span", null, h("span.faint", null, "new "), address(t.created))],
  ["Value", (t) => amount(t.value, base, 6), "num"],
].filter(Boolean);

function direction(t, a) {
  const own = a.toLowerCase();
  const from = (t.from || "").toLowerCase() === own;
  const to = (t.to || "").toLowerCase() === own;
  if (from && to) return h("span.way", null, "self");
  if (from) return h("span.way.out", null, "out");
  if (to) return h("span.way.in", null, "in");
  return h("span.way", null, t.roles && t.roles.includes("bridge") ? "bridge" : t.roles && t.roles.includes("tokens") ? "token" : "internal");
}

// Calls with value and creations by contracts.
export const internalColumns = (options = {}) => [
  options.tx ? null : ["Transaction", (o) => tx(o.hash)],
  ["Kind", (o) => h("span.method", null, o.kind)],
  options.address ? ["", (o) => direction(o, options.address), "narrow"] : null,
  options.tx ? null : ["Block", (o) => block(o.block), "num"],
  options.tx ? null : ["Age", (o) => time(o.timestamp)],
  ["From", (o) => address(o.from, o.fromName)],
  ["To", (o) => h("span", null, o.kind.startsWith("create") ? h("span.faint", null, "new ") : null, address(o.to, o.toName))],
  ["Value", (o) => amount(o.value, base, 18), "num"],
].filter(Boolean);

export const transferColumns = (options = {}) => [
  ["Transaction", (t) => tx(t.hash)],
  ["Age", (t) => time(t.timestamp)],
  ["From", (t) => address(t.from)],
  ["To", (t) => address(t.to)],
  ["Amount", (t) => h("span", null, amount(t.amount, t.kind === "ERC-20" ? t.meta : { ...t.meta, decimals: 0 }), t.id ? h("span.faint", null, " id " + short(t.id, 6, 4)) : null), "num"],
  options.token ? null : ["Token", (t) => h("a", { href: "/token/" + t.token, title: t.token }, (t.meta && t.meta.name) || short(t.token))],
].filter(Boolean);
