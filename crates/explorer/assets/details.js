// Pages of one block, transaction, batch or L1 transaction.

import { h, replace } from "./dom.js";
import { get, live } from "./api.js";
import { count, ether, gwei, bytes, date, seconds, short } from "./format.js";
import * as p from "./parts.js";

export async function block({ params, query, signal }) {
  const before = query.get("before");
  const b = await get("/block/" + params[0] + (before ? "?before=" + encodeURIComponent(before) : ""), signal);
  const path = "/block/" + b.number;
  return h("div", null,
    p.heading("Block " + count(b.number),
      p.status(b.status),
      h("span.steps-nav", null,
        b.number > 0 ? h("a.button.small", { href: "/block/" + (b.number - 1), rel: "prev" }, "Previous") : null,
        b.isHead ? null : h("a.button.small", { href: "/block/" + (b.number + 1), rel: "next" }, "Next"))),
    p.card(null, p.facts([
      ["Time", h("span", null, p.time(b.timestamp), h("span.faint", null, " · " + date(b.timestamp)))],
      ["Batch", b.batch ? p.batch(b.batch) : h("span.faint", null, "not sealed yet")],
      ["Transactions", count(b.txs) + (b.deposits ? ", " + count(b.deposits) + " of them asked for by L1" : "")],
      ["Gas used", count(b.gasUsed) + " of " + count(b.gasLimit)],
      ["Base fee", gwei(b.baseFee)],
      ["Pubdata", bytes(b.pubdata) + " at " + count(b.gasPerPubdata) + " gas a byte"],
      ["Messages to L1", count(b.messages)],
      ["Size", bytes(b.size)],
      ["Operator", p.address(b.operator, null, { full: true })],
      ["Hash", mono(b.hash, "the hash")],
      ["Parent", b.number > 0 ? h("a.mono", { href: "/block/" + b.parentHash }, b.parentHash) : mono(b.parentHash)],
      ["Rolling hash of transactions", mono(b.txsHash)],
    ])),
    p.card("Transactions", b.rows.length
      ? p.table("Transactions of block " + b.number, p.txColumns(), b.rows) : p.empty("No transactions in this block")),
    b.next || before ? h("nav.pager", { "aria-label": "Pages" },
      before ? h("a.button", { href: path }, "First") : null,
      b.next ? h("a.button", { href: path + "?before=" + b.next }, "More") : null) : null);
}

function mono(text, what) {
  return h("span.breakable", null, h("span.mono", null, text), what ? p.copyable(text, what) : null);
}

export async function tx({ params, query, signal, info, leave, refresh }) {
  const t = await get("/tx/" + params[0], signal);
  const path = "/tx/" + t.hash;
  const tab = query.get("tab") || "";
  if (t.status === "pool") {
    const timer = setInterval(refresh, 1000);
    leave(() => clearInterval(timer));
    return pooled(t);
  }
  watchStatus(t.status, t.batch ? t.batch.number : null, leave, refresh);
  const head = p.heading("Transaction", p.outcome(t.ok), p.status(t.status));
  const nav = p.tabs(path, tab, [["", "Overview"], ["logs", "Events", t.logCount], ["internal", "Internal calls", t.internal], ["trace", "Call trace"]]);
  let body;
  if (tab === "logs") body = p.card(null, logs(t));
  else if (tab === "internal") body = p.card(null, await internal(t, query, signal));
  else if (tab === "trace") body = p.card(null, await trace(t.hash, signal));
  else body = overview(t, info);
  return h("div", null, head, nav, body);
}

// Loads the page again when the batch that it shows has moved on.
function watchStatus(status, number, leave, refresh) {
  if (status === "finalized") return;
  leave(live((now) => {
    const mine = number && now.batches.find((b) => b.number === number);
    if ((mine && mine.status !== status) || (!number && now.sealed > (watchStatus.sealed ?? now.sealed))) refresh();
    watchStatus.sealed = now.sealed;
  }));
}

function pooled(t) {
  return h("div", null, p.heading("Transaction", p.status("pool")),
    p.card(null, p.facts([
      ["Hash", mono(t.hash, "the hash")],
      ["From", p.address(t.from, null, { full: true })],
      ["To", t.to ? p.address(t.to, null, { full: true }) : "a new contract"],
      ["Value", ether(t.value)],
      ["Nonce", count(t.nonce)],
      ["Call", t.call ? callView(t.call) : null],
    ])), h("p.faint", null, "It waits to be included. This page follows it."));
}

const TYPES = { 0: "0 (legacy)", 1: "1 (access list, EIP-2930)", 2: "2 (EIP-1559)", 4: "4 (EIP-7702)", 113: "0x71 (EIP-712, account abstraction)", 127: "0x7f (priority operation, from L1)" };

function overview(t, info) {
  const b = t.batch;
  return h("div", null,
    h("div.card", null, t.ok ? null : h("div.notice.bad", { id: "failure" }, h("strong", null, "Failed. "), failureOf(t)),
      p.facts([
        ["Hash", mono(t.hash, "the hash")],
        ["Block", h("span", null, p.block(t.block), h("span.faint", null, " · position " + t.index))],
        ["Time", h("span", null, p.time(t.timestamp), h("span.faint", null, " · " + date(t.timestamp)))],
        ["From", h("span.breakable", null, p.address(t.from, null, { full: true }), p.copyable(t.from, "the sender"))],
        ["To", t.to
          ? h("span.breakable", null, t.toName ? h("span", null, t.toName + " ") : null, p.address(t.to, null, { full: true }), p.copyable(t.to, "the recipient"))
          : h("span.breakable", null, "new contract ", p.address(t.created, null, { full: true }))],
        ["Value", ether(t.value, 18)],
        t.transfers && t.transfers.length ? ["Tokens moved", h("ul.plain", null, t.transfers.map(transferLine))] : null,
        ["Fee", h("span", null, ether(t.fee, 18), h("span.faint", null, " · " + count(t.gasUsed) + " gas at " + gwei(t.gasPrice)))],
        ["Gas limit", count(t.gasLimit)],
        ["Pubdata", bytes(t.pubdata) + " at " + count(t.gasPerPubdata) + " gas a byte"],
        ["Type", TYPES[t.type] || String(t.type)],
        ["Nonce", t.type === 127 ? null : count(t.nonce)],
      ])),
    t.deposit ? depositCard(t.deposit) : null,
    t.withdrawals && t.withdrawals.length ? p.card("Messages to L1", t.withdrawals.map(withdrawalLine)) : null,
    p.card("Input", inputView(t)),
    accountFields(t.account),
    p.card("On its way to L1", b ? h("div", null,
      h("div.pad", null, p.track(b)),
      p.facts([
        ["Batch", p.batch(b.number)],
        ["Proof", p.proof(b, info.verifier)],
        ["Committed by", l1Line(b.commit)],
        ["Proven by", l1Line(b.prove)],
        ["Executed by", l1Line(b.execute)],
      ])) : h("div.pad", null, p.track({ number: "next", status: "pending" }), h("p.faint", null, "Its batch is not sealed yet. This page follows it."))));
}

function failureOf(t) {
  const words = h("span", null, "Looking for the reason…");
  get("/tx/" + t.hash + "/trace").then(
    (trace) => replace(words, trace.failure || "No reason was given."),
    (e) => replace(words, "The reason could not be found: " + e.message));
  return words;
}

function transferLine(t) {
  return h("li", null, p.amount(t.amount, t.kind === "ERC-20" ? t.meta : { ...t.meta, decimals: 0 }),
    t.id ? h("span.faint", null, " id " + short(t.id, 8, 4)) : null, " ",
    h("a", { href: "/token/" + t.token }, (t.meta && t.meta.name) || short(t.token)),
    h("span.faint", null, " from "), p.address(t.from), h("span.faint", null, " to "), p.address(t.to));
}

function l1Line(t) {
  if (!t) return h("span.faint", null, "not yet");
  return h("span.breakable", null, p.l1tx(t.hash, { full: true }),
    h("span.faint", null, " · " + (t.gas ? count(t.gas) + " gas · " : "") + "L1 block " + count(t.block)));
}

function depositCard(d) {
  return p.card("Deposit from L1", p.facts([
    ["Amount", p.amount(d.amount, d.token || { symbol: short(d.l1Token), decimals: 18 }, 18)],
    ["From", p.address(d.from, null, { full: true })],
    ["To", p.address(d.to, null, { full: true })],
    ["Priority operation", "#" + count(d.id)],
    ["L1 transaction", d.l1Tx ? p.l1tx(d.l1Tx, { full: true }) : h("span.faint", null, "not seen yet")],
    ["Brought along for value and gas", d.minted ? ether(d.minted, 18) : null],
    ["Refund to", d.refundRecipient ? p.address(d.refundRecipient, null, { full: true }) : null],
  ]));
}

function withdrawalLine(w) {
  if (!w.to) return p.facts([["Message of", p.address(w.sender)], ["State", p.status(w.state)]]);
  return p.facts([
    ["Withdrawal", p.amount(w.amount, w.token || { symbol: short(w.l1Token), decimals: 18 }, 18)],
    ["To on L1", h("span.mono.breakable", null, w.to)],
    ["State", h("span", null, p.status(w.state), w.state === "ready" ? h("a.button.small", { href: "/portal?tab=withdrawals" }, "Finalize") : null)],
    ["Finalized by", w.l1Tx ? p.l1tx(w.l1Tx, { full: true }) : null],
  ]);
}

// What only a transaction of type 0x71 has.
function accountFields(a) {
  if (!a) return null;
  const flow = { general: "sponsored: the sender pays nothing", approvalBased: "in a token: the paymaster may take it from the sender", unknown: "of the paymaster's own kind" };
  return p.card("Account abstraction", p.facts([
    ["Account", a.smart ? "a contract, which validated the transaction itself" : "a plain one, by its key"],
    ["Fee paid by", a.paymaster ? h("span.breakable", null, "paymaster ", p.address(a.paymaster, null, { full: true })) : "the account itself"],
    ["Fee", a.paymaster ? flow[a.flow] : null],
    ["Fee token", a.feeToken ? h("span.breakable", null, a.feeMeta && a.feeMeta.symbol ? a.feeMeta.symbol + " " : null, p.address(a.feeToken, null, { full: true })) : null],
    ["Allowance asked for", a.minAllowance ? p.amount(a.minAllowance, a.feeMeta || { symbol: "", decimals: 0 }, 18) : null],
    ["Paymaster's input", a.inputBytes ? h("details", null, h("summary", null, bytes(a.inputBytes)), h("span.mono.breakable", null, a.input)) : null],
    ["Gas per byte of pubdata, at most", count(a.gasPerPubdata)],
    ["Signature", h("details", null, h("summary", null, bytes(a.signatureBytes)), h("span.mono.breakable", null, a.signature + (a.signatureBytes * 2 + 2 > a.signature.length ? "…" : "")))],
    ["Signed digest", mono(a.digest, "the signed digest")],
  ]));
}

export function value(v) {
  if (!Array.isArray(v)) return h("span.mono.breakable", null, /^0x[0-9a-fA-F]{40}$/.test(v) ? p.address(v, null, { full: true }) : v);
  if (!v.length) return h("span.faint", null, "empty");
  return h("ol.values", { start: 0 }, v.map((x) => x && typeof x === "object" && !Array.isArray(x) && "type" in x
    ? h("li", null, h("span.faint", null, (x.name || "") + " "), value(x.value)) : h("li", null, value(x))));
}

export function callView(call) {
  return h("div.call", null,
    h("div.call-name", null, call.contract ? h("span.faint", null, call.contract + ".") : null, h("span.mono", null, call.signature),
      call.certain ? null : h("span.method", { title: "Decoded by its four-byte selector; the contract itself is not known here" }, "by selector")),
    call.args && call.args.length ? args(call.args) : null,
    call.args === null ? h("p.faint", null, "Its arguments do not decode.") : null);
}

function args(all) {
  return h("dl.args", null, all.map((a) => h("div.arg", null,
    h("dt", null, a.name || "–", h("span.type", null, a.type + (a.indexed ? ", indexed" : ""))), h("dd", null, value(a.value)))));
}

function inputView(t) {
  if (!t.inputBytes) return h("p.pad.faint", null, "No calldata: a plain transfer.");
  return h("div.pad", null, t.call ? callView(t.call) : null,
    h("details", null, h("summary", null, (t.to ? "Calldata" : "Init code") + ", " + bytes(t.inputBytes)),
      h("pre.hex", { tabindex: "0" }, t.input + (t.inputBytes * 2 + 2 > t.input.length ? "…" : ""))));
}

function logs(t) {
  if (!t.logs.length) return p.empty("No events");
  return h("div", null, t.logs.map((log) => h("article.log", null,
    h("div.log-index", { title: "Index in the block" }, log.index),
    h("div.log-body", null,
      h("div", null, p.address(log.address, log.name), " ", log.event ? h("strong.mono", null, log.event.signature) : h("span.faint", null, "unknown event")),
      log.event ? args(log.event.args) : h("ol.values", { start: 0 }, log.topics.map((x) => h("li.mono.breakable", null, x)),
        log.dataBytes ? h("li.mono.breakable", null, log.data) : null)))),
    t.logCount > t.logs.length ? h("p.pad.faint", null, count(t.logCount - t.logs.length) + " more are not shown.") : null);
}

// What contracts did with value inside the transaction, in order.
async function internal(t, query, signal) {
  const before = query.get("before");
  const path = "/tx/" + t.hash;
  const data = await get(path + "/internal" + (before ? "?before=" + encodeURIComponent(before) : ""), signal);
  if (!data.indexed) return p.empty("Not looked through yet", "Calls are indexed behind the blocks. The call trace shows them already.");
  if (!data.rows.length) return p.empty("No internal calls", "No contract called another with value, or made one.");
  return h("div", null, p.table("Internal calls", p.internalColumns({ tx: true }), data.rows),
    data.beyond ? h("p.pad.faint", null, count(data.beyond) + " more are not kept.") : null,
    before || data.next ? h("nav.pager", { "aria-label": "Pages" },
      before ? h("a.button", { href: path + "?tab=internal" }, "First") : null,
      data.next ? h("a.button", { href: path + "?tab=internal&before=" + data.next, rel: "next" }, "More") : null) : null);
}

async function trace(hash, signal) {
  const data = await get("/tx/" + hash + "/trace", signal);
  return h("div", null, data.failure ? h("div.notice.bad", null, h("strong", null, "Failed. "), data.failure) : null,
    h("div.trace", { role: "list" }, data.calls.map(callLine)),
    data.more || data.cut ? h("p.pad.faint", null, data.cut ? "The trace was cut: it is too large." : count(data.more) + " more calls are not shown.") : null);
}

function callLine(c) {
  // What account abstraction's steps hang under is no call of anybody's.
  const steps = c.depth === 0 && /^0x0+8001$/.test(c.to);
  const words = steps ? "steps of the transaction" : c.call ? c.call.name : c.inputBytes >= 4 ? c.input.slice(0, 10)
    : c.kind.startsWith("CREATE") ? "new contract" : c.value === "0" ? "empty call" : "transfer";
  const line = h("summary", null,
    h("span.kind", { class: "kind-" + c.kind.toLowerCase() }, c.kind),
    p.address(c.to, steps ? "Bootloader" : c.contract), h("span.mono.trace-name", null, (steps ? ": " : ".") + words),
    c.value !== "0" ? h("span.method", null, ether(c.value)) : null,
    h("span.faint.num", null, count(c.gasUsed) + " gas"),
    c.ok ? null : h("span.pill.pill-failed", null, c.error || "failed"));
  const item = h("details.trace-call", { role: "listitem" }, line, h("div.pad", null,
    p.facts([
      ["From", p.address(c.from, null, { full: true })],
      ["To", p.address(c.to, null, { full: true })],
      ["Call", c.call ? callView(c.call) : null],
      ["Input", c.inputBytes ? h("span.mono.breakable", null, c.input + (c.inputBytes > 512 ? "…" : "")) : null],
      ["Returned", c.output && c.output.length ? args(c.output) : c.outputBytes && !c.kind.startsWith("CREATE") ? h("span.mono.breakable", null, c.rawOutput + (c.outputBytes > 512 ? "…" : "")) : null],
    ])));
  item.style.setProperty("--depth", Math.min(c.depth, 12));
  return item;
}

export async function batch({ params, signal, leave, refresh }) {
  const b = await get("/batch/" + params[0], signal);
  if (b.status !== "finalized") {
    const now = JSON.stringify([b.status, b.txs, b.proving]);
    leave(live((data) => {
      const mine = data.batches.find((x) => x.number === b.number);
      if (mine && JSON.stringify([mine.status, mine.txs, mine.proving]) !== now) refresh();
    }));
  }
  const pr = b.proving;
  return h("div", null,
    p.heading("Batch " + count(b.number), p.status(b.status),
      h("span.steps-nav", null,
        b.number > 1 ? h("a.button.small", { href: "/batch/" + (b.number - 1), rel: "prev" }, "Previous") : null,
        b.status === "pending" ? null : h("a.button.small", { href: "/batch/" + (b.number + 1), rel: "next" }, "Next"))),
    h("div.card", null, h("div.pad", null, p.track(b))),
    h("div.columns", null,
      p.card("Contents", p.facts([
        ["Transactions", count(b.txs) + (b.deposits ? ", " + count(b.deposits) + " from L1" : "")],
        ["Blocks", h("span", null, p.block(b.firstBlock), " to ", p.block(b.lastBlock))],
        ["Gas used", b.gasUsed === undefined ? null : count(b.gasUsed)],
        ["Pubdata", b.pubdata === undefined ? null : bytes(b.pubdata) + " in " + (b.da === "blobs" ? count(b.blobs) + (b.blobs === 1 ? " blob" : " blobs") : "calldata")],
        ["Messages to L1", b.messages === undefined ? null : count(b.messages)],
        ["First block", b.firstTimestamp ? p.time(b.firstTimestamp) : null],
        ["Sealed", b.sealedAt ? p.time(Math.floor(b.sealedAt / 1000)) : null],
      ])),
      p.card("Finality", p.facts([
        ["Verifier", h("span.breakable", null, verifierName(b.verifier), b.verifier && b.verifier.address ? h("span.faint.mono", { title: "The contract on L1: " + b.verifier.address }, " " + short(b.verifier.address)) : null)],
        ["Proof", p.proof(b, b.verifier)],
        ["Proven cycles", pr && pr.cycles ? count(pr.cycles) + " in " + count(pr.shards) + " shards" : null],
        ["Proving time", pr && pr.spentMs ? seconds(pr.spentMs / 1000) : null],
        ["Proven security", pr && pr.provenBits ? count(pr.provenBits) + " bits" : null],
        ["Proof covers", pr && pr.proofOf && pr.proofOf[0] !== pr.proofOf[1] ? "batches " + count(pr.proofOf[0]) + " to " + count(pr.proofOf[1]) : null],
        ["Proof on L1", b.l1ProofBytes ? bytes(b.l1ProofBytes) : null],
        ["L1 gas", b.l1Gas ? count(b.l1Gas) + (b.execute ? "" : " so far") : null],
        ["Commit", l1Short(b.commit)],
        ["Prove", l1Short(b.prove)],
        ["Execute", l1Short(b.execute)],
      ]))),
    b.publicInput ? p.card("What L1 was told", p.facts([
      ["Public input", mono(b.publicInput, "the public input")],
      ["State root", mono(b.stateRoot)],
      ["State root before", mono(b.prevStateRoot)],
      ["Leaves", count(b.leafCount)],
      ["Hash of the pubdata", mono(b.pubdataHash)],
      ["Guest program", /^0x0+$/.test(b.programId) ? null : mono(b.programId)],
    ])) : null,
    p.card("Blocks", p.table("Latest blocks of the batch", [
      ["Block", (x) => p.block(x.number), "num"],
      ["Age", (x) => p.time(x.timestamp)],
      ["Transactions", (x) => count(x.txs), "num"],
      ["Gas used", (x) => count(x.gasUsed), "num"],
      ["Pubdata", (x) => bytes(x.pubdata), "num"],
    ], b.rows || [])));
}

function l1Short(t) {
  if (!t) return h("span.faint", null, "not yet");
  return h("span", null, p.l1tx(t.hash), h("span.faint", null, t.gas ? " · " + count(t.gas) + " gas" : ""), h("span.faint", null, " · "), p.time(t.timestamp));
}

function verifierName(v) {
  if (!v || v.kind === "unknown") return "unknown (L1 did not say)";
  const signers = v.threshold + " attester" + (v.threshold === "1" ? "" : "s");
  if (v.kind === "attesters") return signers + " (not a validity proof)";
  return v.kind === "both" ? "validity proof, and " + signers : "validity proof";
}

export async function l1({ params, signal, leave, refresh, info }) {
  const t = await get("/l1/tx/" + params[0], signal);
  if (t.block === null) {
    const timer = setInterval(refresh, 2000);
    leave(() => clearInterval(timer));
  }
  return h("div", null,
    p.heading("L1 transaction", t.status === null ? p.status("waiting") : p.outcome(t.status)),
    h("p.faint.lead", null, "On the layer that this chain settles on, chain ", h("span.mono", null, info.l1ChainId), "."),
    p.card(null, p.facts([
      ["Hash", mono(t.hash, "the hash")],
      ["L1 block", t.block === null ? h("span.faint", null, "waiting") : count(t.block)],
      ["Time", t.timestamp ? h("span", null, p.time(t.timestamp), h("span.faint", null, " · " + date(t.timestamp))) : null],
      ["From", h("span.mono.breakable", null, t.from)],
      ["To", h("span.breakable", null, t.contract ? t.contract + " " : null, h("span.mono", null, t.to || "new contract"))],
      ["Value", ether(t.value, 18)],
      ["Fee", t.fee ? h("span", null, ether(t.fee, 18), h("span.faint", null, " · " + count(t.gasUsed) + " gas at " + gwei(t.gasPrice))) : null],
      ["Blobs", t.blobs ? count(t.blobs) + (t.blobGas ? ", " + count(t.blobGas) + " blob gas" : "") : null],
      ["Calldata", bytes(t.inputBytes)],
      ["Queued for L2", t.queued.length ? h("ul.plain", null, t.queued.map((q) => h("li", null, "#" + q.id + " ", p.tx(q.hash)))) : null],
    ])),
    t.call ? p.card("Call", h("div.pad", null, callView(t.call))) : null,
    t.logs.length ? p.card("Events", h("div", null, t.logs.map((log, i) => h("article.log", null, h("div.log-index", null, i),
      h("div.log-body", null, h("div", null, h("span.mono", { title: log.address }, short(log.address)), " ", log.event ? h("strong.mono", null, log.event.signature) : h("span.faint", null, "unknown event")),
        log.event ? args(log.event.args) : null))))) : null);
}

