// Deposit, send, withdraw and finalize.

import { h, replace } from "./dom.js";
import { get, post } from "./api.js";
import { units, parseUnits, short } from "./format.js";
import * as p from "./parts.js";
import { wallets, connect, development } from "./wallet.js";
import { value as bridgeValue } from "./bridge.js";

// What outlives a change of page: who is connected, and what is under way.
const session = { wallet: null, activities: [], finalizing: new Set() };
const MAX_ACTIVITIES = 20;

const ACTIONS = {
  deposit: { title: "Deposit", from: "L1", to: "this chain", layer: "l1", button: "Deposit" },
  send: { title: "Send", from: "this chain", to: "this chain", layer: "l2", button: "Send" },
  withdraw: { title: "Withdraw", from: "this chain", to: "L1", layer: "l2", button: "Withdraw" },
};

export async function portal({ query, info, refresh, leave, signal }) {
  const tab = query.get("tab") || "deposit";
  const head = p.heading("Portal");
  if (!session.wallet) return h("div.narrow-page", null, head, connectCard(info, refresh));
  const wallet = session.wallet;
  const body = tab === "withdrawals" ? await withdrawals(wallet, signal, refresh, leave) : await form(ACTIONS[tab] ? tab : "deposit", wallet, signal);
  const activities = h("div.activities", { "aria-live": "polite" }, session.activities.map((a) => a.node));
  session.show = (node) => activities.prepend(node);
  leave(() => { session.show = null; });
  return h("div.narrow-page", null, head,
    h("div.card.wallet-line", null,
      h("div", null, h("div.faint.small", null, wallet.name), h("a.mono.breakable", { href: "/address/" + wallet.account }, wallet.account)),
      h("button.button.small", { type: "button", onclick: () => { session.wallet = null; refresh(); } }, "Disconnect")),
    p.tabs("/portal", tab, [["deposit", "Deposit"], ["send", "Send"], ["withdraw", "Withdraw"], ["withdrawals", "My withdrawals"]]),
    body, activities);
}

function connectCard(info, refresh) {
  const problem = h("p.problem", { role: "alert" });
  const found = wallets();
  const use = async (make) => {
    replace(problem, "");
    try {
      session.wallet = await make();
      refresh();
    } catch (error) {
      replace(problem, error.message);
    }
  };
  const buttons = found.map((w) => h("button.button.primary.wide", { type: "button", onclick: () => use(() => connect(w, info)) }, "Connect " + w.name));
  const card = p.card("Connect", h("div.pad", null,
    found.length ? buttons : h("p.faint", null, "No wallet was found in this browser. Any wallet for Ethereum will do."), problem));
  if (!info.devAccounts || !info.devAccounts.length) return card;
  const select = h("select", { id: "dev-account" }, info.devAccounts.map((a, i) => h("option", { value: a }, "Account " + i + " · " + short(a))));
  return h("div", null, card, p.card("Or use a development account", h("div.pad", null,
    h("p.faint", null, "This is a development node on this machine. Its accounts come from the public test mnemonic, and the node signs for them."),
    h("div.field", null, h("label", { for: "dev-account" }, "Account"), select),
    h("button.button.primary.wide", { type: "button", id: "use-dev", onclick: () => use(async () => development(select.value)) }, "Use this account"))));
}

async function form(action, wallet, signal) {
  const what = ACTIONS[action];
  const balances = await get("/portal/account?address=" + wallet.account, signal);
  let tokens = balances.tokens.filter((t) => action === "deposit" ? t.l1 || !t.l2 : true)
    .filter((t) => action !== "withdraw" || t.l1 || !t.l2);
  const problem = h("p.problem", { role: "alert" });
  const select = h("select", { id: "token", onchange: changed });
  const other = h("input.mono", { id: "other", placeholder: "0x…", autocomplete: "off", spellcheck: "false", maxlength: "42" });
  const otherField = h("div.field", { hidden: true }, h("label", { for: "other" }, "Token on L1"), other);
  const amount = h("input", { id: "amount", inputmode: "decimal", autocomplete: "off", placeholder: "0.0", maxlength: "80", "aria-describedby": "have" });
  const have = h("p.faint.small", { id: "have" });
  const to = h("input.mono", { id: "to", placeholder: action === "send" ? "0x…" : wallet.account, autocomplete: "off", spellcheck: "false", maxlength: "42" });
  const go = h("button.button.primary.wide", { type: "submit", id: "go" }, what.button);
  options();
  changed();

  function options() {
    const all = tokens.map((t, i) => h("option", { value: i }, t.symbol + (t.l2 || t.l1 ? " · " + (t.name || short(t.l1 || t.l2)) : "")));
    if (action === "deposit") all.push(h("option", { value: "other" }, "Another ERC-20 on L1…"));
    replace(select, all);
  }
  function balance(t) {
    return action === "deposit" ? t.l1Balance : t.l2Balance;
  }
  function changed() {
    const t = tokens[select.value];
    otherField.hidden = select.value !== "other";
    replace(have, t ? "You have " + units(balance(t), t.decimals, 8) + " " + t.symbol + " on " + what.from : "");
  }
  async function chosen() {
    if (select.value !== "other") return tokens[select.value];
    const address = other.value.trim();
    if (!/^0x[0-9a-fA-F]{40}$/.test(address)) throw new Error("The token is not an address");
    const data = await get("/portal/account?address=" + wallet.account + "&token=" + address);
    const token = data.tokens.find((t) => (t.l1 || "").toLowerCase() === address.toLowerCase());
    tokens = data.tokens.filter((t) => t.l1 || !t.l2);
    options();
    select.value = String(tokens.findIndex((t) => t.l1 === token.l1));
    changed();
    return token;
  }
  async function submit(event) {
    event.preventDefault();
    replace(problem, "");
    go.disabled = true;
    try {
      const token = await chosen();
      const smallest = parseUnits(amount.value, token.decimals);
      if (smallest === null || smallest === "0") throw new Error("The amount is a number above zero, with at most " + token.decimals + " decimals");
      if (balance(token) && BigInt(smallest) > BigInt(balance(token))) throw new Error("That is more than you have on " + what.from);
      const receiver = to.value.trim();
      if (receiver && !/^0x[0-9a-fA-F]{40}$/.test(receiver)) throw new Error("The recipient is not an address");
      if (action === "send" && !receiver) throw new Error("Who receives it?");
      const wish = { action, from: wallet.account, to: receiver || null, token: (action === "deposit" ? token.l1 : token.l2) || null, amount: smallest };
      start(what.title + " " + units(smallest, token.decimals, 8) + " " + token.symbol, action, wallet, wish);
      amount.value = "";
    } catch (error) {
      replace(problem, error.message);
    }
    go.disabled = false;
  }
  return h("form.card.form", { onsubmit: submit, novalidate: true, "aria-label": what.title },
    h("p.faint", null, action === "send" ? "To another account of this chain." : "From " + what.from + " to " + what.to + "."),
    h("div.field", null, h("label", { for: "token" }, "Token"), select), otherField,
    h("div.field", null, h("label", { for: "amount" }, "Amount"), amount, have),
    h("div.field", null, h("label", { for: "to" }, action === "send" ? "Recipient" : "Recipient (yourself unless given)"), to),
    problem, go);
}

async function withdrawals(wallet, signal, refresh, leave) {
  const [data, deposits] = await Promise.all([
    get("/withdrawals?address=" + wallet.account, signal), get("/deposits?address=" + wallet.account, signal)]);
  const rows = data.rows.filter((w) => w.to);
  const failed = deposits.rows.filter((d) => d.state === "failed" && d.l1Token);
  if (rows.some((w) => w.state !== "finalized") || failed.some((d) => d.claim !== "done")) {
    const timer = setInterval(refresh, 2000);
    leave(() => clearInterval(timer));
  }
  const back = failed.length ? claims(failed, wallet) : null;
  if (!rows.length) return h("div", null, back, h("div.card", null, p.empty("No withdrawals", "What you withdraw can be finalized here once its batch is final.")));
  return h("div", null, back, h("div.card", null, p.table("My withdrawals", [
    ["Withdrawal", (w) => p.tx(w.hash)],
    ["Amount", bridgeValue, "num"],
    ["Age", (w) => p.time(w.timestamp)],
    ["State", (w) => p.status(w.state)],
    ["", (w) => w.state === "ready" ? h("button.button.small.primary", {
      type: "button", class: "finalize", disabled: session.finalizing.has(w.hash + w.item),
      onclick: (event) => {
        event.target.disabled = true;
        session.finalizing.add(w.hash + w.item);
        start("Finalize a withdrawal", "finalize", wallet, { action: "finalize", from: wallet.account, hash: w.hash, item: w.item },
          () => session.finalizing.delete(w.hash + w.item));
      },
    }, "Finalize") : w.l1Tx ? p.l1tx(w.l1Tx) : h("span.faint", null, "–")],
  ], rows)));
}

// Tokens whose deposit failed on this chain: L1 gives them back once the failure is final.
function claims(failed, wallet) {
  return p.card("Failed deposits", p.table("Failed deposits", [
    ["Deposit", (d) => p.tx(d.hash)],
    ["Amount", bridgeValue, "num"],
    ["Age", (d) => p.time(d.timestamp)],
    ["State", (d) => d.claim === "done" ? p.status("finalized", "Claimed back") : d.claim === "ready" ? p.status("ready", "Ready to claim") : p.status("failed", "Failed, not final yet")],
    ["", (d) => d.claim === "ready" ? h("button.button.small.primary", {
      type: "button", class: "claim", disabled: session.finalizing.has(d.hash),
      onclick: (event) => {
        event.target.disabled = true;
        session.finalizing.add(d.hash);
        start("Claim a failed deposit", "finalize", wallet, { action: "claim", from: wallet.account, hash: d.hash }, () => session.finalizing.delete(d.hash));
      },
    }, "Claim back") : h("span.faint", null, "–")],
  ], failed));
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Asks until `done` says so. What the node does not know yet, or does not answer, is asked again; every other refusal ends it.
async function poll(path, done, every = 700) {
  for (;;) {
    try {
      const answer = await get(path);
      if (done(answer)) return answer;
    } catch (error) {
      if (![0, 404, 502, 503].includes(error.status)) throw error;
    }
    await pause(every);
  }
}

// One thing under way, from the first signature to finality; it shows itself.
function start(title, action, wallet, wish, failed) {
  const list = h("ol.todo");
  const track = h("div.pad-top");
  const status = p.status("waiting", "Working");
  const node = h("article.card.activity", null, h("div.card-head", null, h("h2", null, title), status), h("div.pad", null, list, track));
  const activity = { node };
  session.activities.unshift(activity);
  session.activities.splice(MAX_ACTIVITIES);
  if (session.show) session.show(node);
  const line = (words) => {
    const text = h("span", null, words);
    const item = h("li.busy", null, text);
    list.append(item);
    return (cls, ...more) => {
      item.className = cls;
      replace(text, ...more);
    };
  };
  const mark = (name, words) => { status.replaceChildren(...p.status(name, words).childNodes); status.className = "pill pill-" + name; };
  run(action, wallet, wish, line, track, mark).catch((error) => {
    for (const item of list.querySelectorAll(".busy")) item.className = "bad";
    list.append(h("li.bad", null, error.message));
    if (failed) failed();
    mark("failed", "Stopped");
  });
}

async function run(action, wallet, wish, line, track, mark) {
  const plan = await post("/portal/plan", wish);
  let last = null;
  for (const step of plan.steps) {
    const say = line(step.title + ": waiting for the signature");
    const hash = await wallet.send(step.layer, step.tx);
    const link = step.layer === "l1" ? p.l1tx(hash) : p.tx(hash);
    say("busy", step.title + ": sent, ", link);
    if (step.layer === "l1") {
      last = await poll("/l1/tx/" + hash, (t) => t.status !== null);
      if (!last.status) throw new Error("The L1 transaction failed");
    } else {
      last = await poll("/tx/" + hash, (t) => t.status !== "pool");
      if (!last.ok) throw new Error("The transaction failed");
    }
    say("done", step.title + ": done, ", link);
  }
  if (action === "finalize") return mark("finalized");
  let hash = last.hash;
  if (action === "deposit") {
    hash = last.queued.length ? last.queued[last.queued.length - 1].hash : null;
    if (!hash) throw new Error("L1 queued nothing for this chain");
    const say = line("Arriving on this chain");
    const here = await poll("/tx/" + hash, (t) => t.status !== "pool");
    if (!here.ok) throw new Error("The deposit failed on this chain. The base token was refunded to its sender here; a token can be claimed back on L1, under My withdrawals, once the failure is final");
    say("done", "Arrived: ", p.tx(hash));
  }
  const say = line("On its way to finality");
  for (;;) {
    const t = await poll("/tx/" + hash, () => true);
    replace(track, p.track(t.batch || { number: "next", status: "pending" }));
    mark(t.status);
    if (t.status === "finalized") break;
    await pause(500);
  }
  if (action === "withdraw") say("done", "Its batch is final: ", h("a", { href: "/portal?tab=withdrawals" }, "finalize it on L1"));
  else say("done", "Final on L1");
}
