// Numbers, amounts, times and hashes as people read them.

const number = new Intl.NumberFormat("en-US");

export function count(n) {
  return n === null || n === undefined ? "–" : number.format(n);
}

export function many(n, one) {
  return count(n) + " " + one + (n === 1 ? "" : "s");
}

export function short(hash, head = 6, tail = 4) {
  if (typeof hash !== "string" || hash.length <= head + tail + 3) return hash || "";
  return hash.slice(0, 2 + head) + "…" + hash.slice(-tail);
}

// A decimal string of the smallest unit, with `decimals` digits after the point; `places` of them shown.
export function units(amount, decimals = 18, places = 6) {
  if (amount === null || amount === undefined) return "–";
  let digits = String(amount);
  const sign = digits.startsWith("-") ? "-" : "";
  digits = digits.replace("-", "");
  decimals = Math.min(Math.max(Number(decimals) || 0, 0), 255);
  const padded = digits.padStart(decimals + 1, "0");
  const whole = padded.slice(0, padded.length - decimals);
  const part = decimals ? padded.slice(-decimals) : "";
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  let shown = part.slice(0, places).replace(/0+$/, "");
  if (!shown && whole === "0" && /[1-9]/.test(part)) {
    // Too small for the places: two figures of what there is.
    const first = part.search(/[1-9]/);
    shown = part.slice(0, first + 2).replace(/0+$/, "");
  }
  return sign + grouped + (shown ? "." + shown : "");
}

// What a person typed, as a decimal string of the smallest unit; null when it is no amount.
export function parseUnits(text, decimals) {
  const match = /^(\d*)(?:\.(\d*))?$/.exec(text.trim().replace(/,/g, ""));
  if (!match || (!match[1] && !match[2])) return null;
  const part = match[2] || "";
  if (part.length > decimals) return null;
  const digits = (match[1] + part.padEnd(decimals, "0")).replace(/^0+/, "");
  return digits || "0";
}

// The token in which fees are paid; /info says which.
export const base = { symbol: "ETH", name: "Ether", decimals: 18 };

export function ether(wei, places) {
  return units(wei, base.decimals, places) + " " + base.symbol;
}

export function gwei(wei) {
  return units(wei, 9, 4) + " gwei";
}

export function bytes(n) {
  if (n === null || n === undefined) return "–";
  if (n < 1024) return n + " B";
  if (n < 1024 * 1024) return (n / 1024).toFixed(n < 10240 ? 1 : 0) + " KiB";
  return (n / 1024 / 1024).toFixed(1) + " MiB";
}

export function seconds(s) {
  if (s === null || s === undefined) return "–";
  if (s < 10) return s.toFixed(1) + " s";
  if (s < 120) return Math.round(s) + " s";
  if (s < 7200) return Math.round(s / 60) + " min";
  return Math.round(s / 3600) + " h";
}

export function ago(timestamp) {
  const s = Math.max(0, Math.floor(Date.now() / 1000 - timestamp));
  if (s < 1) return "now";
  if (s < 60) return s + " s ago";
  if (s < 3600) return Math.floor(s / 60) + " min ago";
  if (s < 86400) return Math.floor(s / 3600) + " h ago";
  const days = Math.floor(s / 86400);
  return days + (days === 1 ? " day ago" : " days ago");
}

export function date(timestamp) {
  return new Date(timestamp * 1000).toLocaleString("en-GB", {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
}
