// One session: what is known of it, and what people change of it.

import { batch, computed, signal } from "../vendor/preact.js";
import { get, request } from "../api.js";
import { linesOf } from "./words.js";

const SETTLING = [300, 700, 1500, 3000, 5000]; // milliseconds between looks for what is being stored

export class Conversation {
  /** "loading", "ready", "missing", "failed" */
  phase = signal("loading");
  /** As the API gives it. */
  session = signal(/** @type {any} */ (null));
  /** Why it could not be fetched. */
  problem = signal(/** @type {import("../api.js").ApiError|null} */ (null));
  lines = computed(() => linesOf(this.session.value?.utterances ?? []));
  /** Names of speakers, by label. */
  names = computed(() => this.session.value?.speakers ?? {});
  #closed = new AbortController();

  /** @param {string} id */
  constructor(id) {
    this.id = id;
  }

  get path() {
    return `/sessions/${encodeURIComponent(this.id)}`;
  }

  /** Fetch it, or fetch it again. */
  async load() {
    const { signal } = this.#closed;
    try {
      const session = await get(this.path, { signal });
      batch(() => {
        this.session.value = session;
        this.problem.value = null;
        this.phase.value = "ready";
      });
    } catch (error) {
      if (signal.aborted) return;
      batch(() => {
        this.problem.value = error;
        if (error.status === 404) this.phase.value = "missing";
        else if (this.session.value === null) this.phase.value = "failed";
      });
    }
  }

  /** A session that ran has just ended: fetch it until it is stored as ended. */
  async settle() {
    for (const wait of SETTLING) {
      await this.load();
      const { live, state } = this.session.value;
      if (this.#closed.signal.aborted || this.phase.value !== "ready" || (!live && state !== "active")) return;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  /** @param {{title?: string|null, speakers?: Object<string, string|null>}} changes */
  async change(changes) {
    const response = await request(this.path, { method: "PATCH", json: changes });
    const { title, speakers } = await response.json();
    this.session.value = { ...this.session.value, title, speakers };
  }

  close() {
    this.#closed.abort();
  }
}
