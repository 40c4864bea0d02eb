// Elements from plain values. Every string becomes a text node: nothing that the chain says is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

// h("a.link", {href: "/x", onclick: f}, "text", node, [more])
export function h(spec, props, ...children) {
  const [tag, ...classes] = spec.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "class") node.className += (node.className ? " " : "") + value;
    else if (key === "data") Object.assign(node.dataset, value);
    else if (key === "href") node.setAttribute("href", safeLink(value));
    else if (value === true) node.setAttribute(key, "");
    else node.setAttribute(key, value);
  }
  return fill(node, children);
}

// Only paths of this site are ever linked.
function safeLink(path) {
  return typeof path === "string" && /^[/#](?!\/)/.test(path) ? path : "#";
}

export function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  return fill(node, children);
}

export function replace(node, ...children) {
  node.replaceChildren();
  return fill(node, children);
}

// Brings a list up to date row by row: rows that did not change keep their element, and so focus and selection.
export function keyed(container, items, key, render) {
  const old = new Map([...container.children].map((node) => [node.dataset.key, node]));
  const fresh = container.childElementCount > 0;
  const next = items.map((item) => {
    const id = String(key(item));
    const state = JSON.stringify(item);
    const known = old.get(id);
    if (known && known.dataset.state === state) return known;
    const node = render(item);
    node.dataset.key = id;
    node.dataset.state = state;
    if (fresh && !known) node.classList.add("arrived");
    return node;
  });
  next.forEach((node, i) => {
    if (container.children[i] !== node) container.insertBefore(node, container.children[i] || null);
  });
  while (container.children.length > next.length) container.lastElementChild.remove();
}
