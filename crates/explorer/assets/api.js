// The node's JSON, and its live events.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function answer(response) {
  let body = null;
  try {
    body = await response.json();
  } catch (e) {
    throw new ApiError(response.status, "the node's answer could not be read");
  }
  if (!response.ok) throw new ApiError(response.status, body.error || response.statusText);
  return body;
}

export async function get(path, signal) {
  let response;
  try {
    response = await fetch("/api" + path, { signal, headers: { accept: "application/json" } });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new ApiError(0, "the node does not answer");
  }
  return answer(response);
}

export async function post(path, body) {
  let response;
  try {
    response = await fetch("/api" + path, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(body),
    });
  } catch (e) {
    throw new ApiError(0, "the node does not answer");
  }
  return answer(response);
}

// The home page's figures as they change: one stream for the whole application, opened with the first listener and closed with the last.
const listeners = new Set();
let source = null;
let last = null;
export const connection = new EventTarget();

function open() {
  source = new EventSource("/api/events");
  source.addEventListener("home", (event) => {
    last = JSON.parse(event.data);
    listeners.forEach((listen) => listen(last));
  });
  source.addEventListener("open", () => state("live"));
  source.addEventListener("error", () => {
    state("lost");
    // A browser gives up on an answer that is no stream, such as a proxy's error page.
    if (source && source.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(() => { if (listeners.size && !source) open(); }, 3000);
    }
  });
}

function state(name) {
  connection.dispatchEvent(new CustomEvent("state", { detail: name }));
}

export function live(listen) {
  listeners.add(listen);
  if (!source) open();
  else if (last) listen(last);
  return () => {
    listeners.delete(listen);
    if (!listeners.size && source) {
      source.close();
      source = null;
      last = null;
    }
  };
}
