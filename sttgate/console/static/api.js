// The REST API: requests with the key, errors as sentences, events as they come.

import { access } from "./access.js";

export const PREFIX = "/api/v1";
const MOMENT = 30; // seconds a token is good for that is used at once

/** An answer that is an error, or no answer at all (then `status` is 0). */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * Send a request below /api/v1 and return the Response; ApiError for everything that is no success.
 * @param {string} path such as "/sessions"
 * @param {{method?: string, query?: Object<string, any>, json?: any, body?: BodyInit,
 *   headers?: Object<string, string>, signal?: AbortSignal}} [options] null and "" are left out of `query`
 */
export async function request(path, options = {}) {
  const { method = "GET", json, signal } = options;
  const headers = { Accept: "application/json", ...access.headers(), ...options.headers };
  let body = options.body;
  if (json !== undefined) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  }
  let response;
  try {
    response = await fetch(address(path, options.query), { method, headers, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401) access.refused();
  throw problem;
}

/**
 * Send a file as a form, and return the JSON of the answer; errors are those of `request`.
 * (fetch does not tell how much of a body is sent.)
 * @param {string} path
 * @param {{file: File, query?: Object<string, any>, signal: AbortSignal,
 *   onProgress: (part: number) => void}} options `part`: from 0 to 1
 */
export function sendFile(path, { file, query, signal, onProgress }) {
  const body = new FormData();
  body.append("file", file, file.name);
  const xhr = new XMLHttpRequest();
  xhr.open("POST", address(path, query));
  for (const [name, value] of Object.entries(access.headers())) xhr.setRequestHeader(name, value);
  xhr.setRequestHeader("Accept", "application/json");
  signal.addEventListener("abort", () => xhr.abort(), { once: true });
  return new Promise((resolve, reject) => {
    xhr.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    xhr.onabort = () => reject(new DOMException("The sending was stopped.", "AbortError"));
    xhr.onerror = async () => reject((await unreadable(file)) ?? unreachable());
    xhr.onload = async () => {
      const { status, responseText } = xhr;
      if (status >= 200 && status < 300) return resolve(JSON.parse(responseText));
      const type = xhr.getResponseHeader("Content-Type") ?? "";
      const problem = await problemOf(
        new Response(responseText, { status, headers: { "Content-Type": type } }),
      );
      if (status === 401) access.refused();
      reject(problem);
    };
    xhr.send(body);
  });
}

/** The JSON of an answer. The arguments are those of `request`. */
export async function get(path, options) {
  return (await request(path, options)).json();
}

/**
 * The address of something below /api/v1, with a query.
 * @param {string} path @param {Object<string, any>} [query]
 */
export function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value != null && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return PREFIX + path + (text ? `?${text}` : "");
}

/**
 * An address for elements that cannot send the key, such as <audio src>: with a short-lived token,
 * which is good for one session only.
 * @param {string} id of the session @param {string} path below it, such as "/audio"
 * @param {Object<string, any>} [query] @param {number} [seconds] how long it is good for: 3600 at most
 */
export async function sessionAddress(id, path, query = {}, seconds = MOMENT) {
  const token = await freshToken({ scopes: ["read"], session: id, ttl_seconds: seconds });
  const whole = `/sessions/${encodeURIComponent(id)}${path}`;
  return address(whole, token === null ? query : { ...query, token });
}

/** What a WebSocket has to offer as subprotocols: the key cannot go into its headers. */
export async function socketProtocols() {
  const token = await freshToken({ scopes: ["transcribe"], ttl_seconds: MOMENT });
  return token === null ? ["sttgate.v2"] : ["sttgate.v2", "bearer", token];
}

/** A token that is good for one thing, and not for long; null where nobody is asked for one. */
async function freshToken(json) {
  if (!access.key) return null;
  const response = await request("/tokens", { method: "POST", json });
  return (await response.json()).token;
}

/**
 * Server-sent events, as they come. (EventSource cannot send the key.)
 * @param {string} path
 * @param {{query?: Object<string, any>, lastEventId?: string, signal?: AbortSignal}} [options]
 * @returns {AsyncGenerator<{id: string, event: string, data: any}>} with `data` parsed from JSON
 */
export async function* events(path, { query, lastEventId, signal } = {}) {
  const headers = { Accept: "text/event-stream" };
  if (lastEventId) headers["Last-Event-ID"] = lastEventId;
  const response = await request(path, { query, headers, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (text + value).split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const block of blocks) {
        const event = parseEvent(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // it has ended already, or broke off
  }
}

function parseEvent(block) {
  const event = { id: "", event: "message", data: null };
  const data = [];
  for (const line of block.split(/\r?\n/)) {
    const at = line.indexOf(":");
    if (at < 1) continue; // a comment, or nothing
    const value = line.slice(at + 1).replace(/^ /, "");
    const field = line.slice(0, at);
    if (field === "data") data.push(value);
    else if (field === "id" || field === "event") event[field] = value;
  }
  if (data.length === 0 && event.event === "message") return null;
  if (data.length > 0) event.data = JSON.parse(data.join("\n"));
  return event;
}

function unreachable() {
  const message = navigator.onLine
    ? "The gateway does not answer. Is it running?"
    : "This device is offline.";
  return new ApiError(0, "unreachable", message);
}

/** The error of a file that was moved or changed since it was chosen; null if it can be read. */
async function unreadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return null;
  } catch {
    return new ApiError(0, "unreadable", "The file cannot be read (any more). Was it moved or changed?");
  }
}

const SENTENCES = {
  401: "This needs a valid API key.",
  403: "Your key does not allow this.",
  404: "There is nothing here.",
  413: "This is too large.",
  429: "Too many requests. Try again in a moment.",
  503: "The gateway cannot do this at the moment. Try again.",
};

async function problemOf(response) {
  const { status } = response;
  let about = {};
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    about = await response.json().catch(() => ({}));
  }
  const message = about.detail || SENTENCES[status] || `The gateway answered with ${status}.`;
  return new ApiError(status, about.code || "", message);
}
