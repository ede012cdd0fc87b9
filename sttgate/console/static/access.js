// Who uses the console. The key lives in this tab only: sessionStorage, never anything that lasts.

import { signal } from "./vendor/preact.js";

const KEY = "sttgate.key";

class Access {
  /** "asking", "off" (nobody is asked for a key), "in", "out", "unreachable" */
  state = signal("asking");
  /** What the key may do: read, transcribe, delete, admin. */
  scopes = signal(/** @type {string[]} */ ([]));
  /** A sentence for the form: why the key was not taken. */
  problem = signal("");
  #key = readKey();

  get key() {
    return this.#key;
  }

  headers() {
    return this.#key ? { Authorization: `Bearer ${this.#key}` } : {};
  }

  /** Whether something may be tried. @param {"read"|"transcribe"|"delete"|"admin"} scope */
  may(scope) {
    return this.state.value === "off" || this.scopes.value.includes(scope);
  }

  /** Ask the gateway who we are. */
  async check() {
    let response;
    try {
      response = await fetch("/api/v1/me", { headers: this.headers(), cache: "no-store" });
    } catch {
      this.state.value = "unreachable";
      return;
    }
    if (response.status === 401) return this.refused();
    if (response.status === 404) return this.#let("off", []); // a gateway without access control
    if (!response.ok) {
      this.problem.value = await sentence(response);
      this.state.value = response.status === 429 ? "out" : "unreachable";
      return;
    }
    const me = await response.json();
    this.#let(me.access === "on" ? "in" : "off", me.scopes ?? []);
  }

  /** Try a key. @param {string} key */
  async signIn(key) {
    this.problem.value = "";
    this.#keep(key.trim());
    await this.check();
    if (this.state.value === "unreachable") this.problem.value = "The gateway does not answer.";
  }

  signOut() {
    this.#keep("");
    this.problem.value = "";
    this.state.value = "out";
  }

  /** The gateway answered 401: the key is wrong, revoked, or there is none. */
  refused() {
    if (this.#key) this.problem.value = "This key is not valid (any more).";
    this.#keep("");
    this.state.value = "out";
  }

  #let(state, scopes) {
    this.problem.value = "";
    this.scopes.value = scopes;
    this.state.value = state;
  }

  #keep(key) {
    this.#key = key;
    try {
      if (key) sessionStorage.setItem(KEY, key);
      else sessionStorage.removeItem(KEY);
    } catch {
      // storage is switched off: the key lasts until the page is loaded again
    }
  }
}

function readKey() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

async function sentence(response) {
  const about = await response.json().catch(() => ({}));
  return about.detail ?? `The gateway answered with ${response.status}.`;
}

export const access = new Access();
