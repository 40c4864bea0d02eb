// The application: reads the address, shows the page, keeps the frame up to date.

import { h, replace } from "./dom.js";
import { get, live, connection } from "./api.js";
import { count, base } from "./format.js";
import * as p from "./parts.js";
import { home } from "./home.js";
import * as lists from "./lists.js";
import * as details from "./details.js";
import * as accounts from "./accounts.js";
import { bridge } from "./bridge.js";
import { portal } from "./portal.js";

const ROUTES = [
  [/^\/$/, home, "Home"],
  [/^\/blocks$/, lists.blocks, "Blocks"],
  [/^\/block\/([^/]+)$/, details.block, "Block"],
  [/^\/txs$/, lists.txs, "Transactions"],
  [/^\/tx\/([^/]+)$/, details.tx, "Transaction"],
  [/^\/batches$/, lists.batches, "Batches"],
  [/^\/batch\/([^/]+)$/, details.batch, "Batch"],
  [/^\/address\/([^/]+)$/, accounts.address, "Address"],
  [/^\/tokens$/, lists.tokens, "Tokens"],
  [/^\/token\/([^/]+)$/, accounts.token, "Token"],
  [/^\/contracts$/, lists.contracts, "Contracts"],
  [/^\/internal$/, lists.internal, "Internal calls"],
  [/^\/bridge$/, bridge, "Bridge"],
  [/^\/portal$/, portal, "Portal"],
  [/^\/l1\/tx\/([^/]+)$/, details.l1, "L1 transaction"],
];

const main = document.getElementById("main");
let info = null;
let current = null;

// Shows the page of the address. `quiet` puts a fresh copy in place of the same page: no skeleton, no scrolling, focus kept where it can be.
async function show(quiet) {
  const abort = new AbortController();
  const before = current;
  const page = { abort, leaving: [] };
  current = page;
  if (before) before.abort.abort();
  if (!quiet && before) end(before);
  const path = decodeURI(location.pathname).replace(/\/+$/, "") || "/";
  const route = ROUTES.map(([pattern, render, title]) => [pattern.exec(path), render, title]).find(([match]) => match);
  mark(path);
  const wait = quiet ? null : setTimeout(() => replace(main, p.skeleton()), 120);
  let node;
  try {
    if (!info) {
      info = await get("/info");
      Object.assign(base, info.baseToken);
    }
    frame();
    if (!route) throw Object.assign(new Error("There is no page at this address"), { status: 404 });
    const params = route[0].slice(1).map((x) => encodeURIComponent(x));
    node = await route[1]({
      params, info, signal: abort.signal, query: new URLSearchParams(location.search),
      leave: (f) => page.leaving.push(f), refresh: () => again(page),
    });
  } catch (error) {
    clearTimeout(wait);
    if (current !== page || error.name === "AbortError") return end(page);
    if (quiet && error.status === 0) {
      // The node is away for a moment: keep what is shown.
      setTimeout(() => { if (current === page) show(true); }, 2000);
      return;
    }
    node = p.failure(error, error.status === 404 ? null : () => show(false));
  }
  clearTimeout(wait);
  if (current !== page) return end(page);
  if (quiet && before) end(before);
  document.title = (route ? route[2] : "Not found") + " · " + (info ? info.name : "Cairn");
  const focused = quiet ? pathTo(document.activeElement) : null;
  const open = quiet ? [...main.querySelectorAll("details")].map((d) => d.open) : [];
  replace(main, node);
  if (quiet) {
    [...main.querySelectorAll("details")].forEach((d, i) => { if (open[i]) d.open = true; });
    const same = focused && at(focused);
    if (same && same.focus) same.focus({ preventScroll: true });
  } else if (before) {
    // A link was followed: readers and the keyboard go on at the new page. The first page leaves focus where the browser put it.
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

// A fresh copy of the page soon: several wishes are one, so that figures that lag behind each other cannot chase one another.
function again(page) {
  if (page.soon || current !== page) return;
  page.soon = setTimeout(() => { if (current === page) show(true); }, 300);
}

function end(page) {
  clearTimeout(page.soon);
  page.leaving.splice(0).forEach((f) => f());
}

// Where an element is, as positions from the page's root; and the element there.
function pathTo(node) {
  if (!main.contains(node) || node === main) return null;
  const steps = [];
  for (let n = node; n !== main; n = n.parentElement) steps.unshift([...n.parentElement.children].indexOf(n));
  return { steps, tag: node.tagName };
}

function at({ steps, tag }) {
  let node = main;
  for (const i of steps) node = node && node.children[i];
  return node && node.tagName === tag ? node : null;
}

function mark(path) {
  for (const link of document.querySelectorAll("#nav a")) {
    const own = link.getAttribute("href");
    const inside = path === own || (own === "/blocks" && path.startsWith("/block/")) || (own === "/txs" && path.startsWith("/tx/"))
      || (own === "/batches" && path.startsWith("/batch/")) || (own === "/tokens" && path.startsWith("/token/"));
    if (inside) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  closeMenu();
}

function go(path) {
  history.pushState(null, "", path);
  show(false);
}

addEventListener("popstate", () => show(false));

document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const path = link.getAttribute("href");
  if (!path.startsWith("/") || link.target) return;
  event.preventDefault();
  go(path);
});

// The menu of a narrow screen.
const menu = document.querySelector(".menu-button");
menu.addEventListener("click", () => {
  const open = menu.getAttribute("aria-expanded") !== "true";
  menu.setAttribute("aria-expanded", String(open));
  document.getElementById("nav").classList.toggle("open", open);
});
function closeMenu() {
  menu.setAttribute("aria-expanded", "false");
  document.getElementById("nav").classList.remove("open");
}

// Light and dark.
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("cairn-theme", root.dataset.theme);
  } catch (e) {
    // Storage is off: it holds until the page is closed.
  }
});

// Search.
const search = document.getElementById("search");
const results = document.getElementById("search-results");
search.addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = search.q.value.trim();
  if (!text) return;
  const say = (...content) => {
    replace(results, ...content);
    results.hidden = false;
  };
  try {
    const found = (await get("/search?q=" + encodeURIComponent(text))).results;
    if (found.length === 1) {
      results.hidden = true;
      search.q.value = "";
      return go(found[0].path);
    }
    if (!found.length) return say(h("p", null, "Nothing found. Hashes and addresses are searched whole."));
    say(found.map((r) => h("a", { href: r.path }, h("span.method", null, r.kind), " ", r.label)));
  } catch (error) {
    say(h("p", null, error.message));
  }
});
results.addEventListener("click", () => { results.hidden = true; });
document.addEventListener("click", (event) => { if (!search.contains(event.target)) results.hidden = true; });
addEventListener("keydown", (event) => {
  if (event.key === "Escape") { results.hidden = true; closeMenu(); }
  if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    search.q.focus();
  }
});

// The foot.
let framed = false;
function frame() {
  if (framed) return;
  framed = true;
  replace(document.getElementById("foot-chain"), info.name + " · chain " + info.chainId + " · L1 " + info.l1ChainId + " · cairn " + info.version);
  const foot = document.getElementById("foot-live");
  let head = null;
  let state = "live";
  const draw = () => replace(foot, h("span.dot", { class: state === "live" ? "dot-live" : "dot-lost", "aria-hidden": "true" }),
    state === "live" ? "Live" : "Connection lost, trying again", head === null ? "" : h("span.faint", { "aria-hidden": "true" }, " · block " + count(head)));
  connection.addEventListener("state", (event) => { if (state !== event.detail) { state = event.detail; draw(); } });
  live((now) => { if (head !== now.head) { head = now.head; draw(); } });
}

show(false);
