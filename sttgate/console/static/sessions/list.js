// The sessions that were found, page after page, and which of them are selected.

import { batch, computed, effect, signal } from "../vendor/preact.js";
import { access } from "../access.js";
import { get } from "../api.js";
import { addressOf, queryOf } from "./filters.js";

const PAGE = 50;
const MOST = 200; // the API gives no more at once

/** It outlives the page, so that who comes back from a session finds what was there. */
class SessionList {
  rows = signal(/** @type {Object[]} */ ([]));
  /** "loading" (there is nothing to show yet), "ready", "failed" */
  phase = signal("loading");
  /** Whether something is being fetched. */
  busy = signal(false);
  /** Whether the rows are still those of other filters. */
  outdated = signal(false);
  /** Why the last request failed. */
  problem = signal(/** @type {import("../api.js").ApiError|null} */ (null));
  /** Ids. */
  selected = signal(/** @type {Set<string>} */ (new Set()));
  /** What has just been done, to be told on the page. */
  said = signal("");
  hasMore = computed(() => this.#cursor.value !== null);
  /** Of the page as it was left: where the way back leads. */
  address = "/sessions";
  #cursor = signal(/** @type {string|null} */ (null));
  #query = {};
  #asked = "";
  #request = new AbortController();

  /** Show what these filters find; what is shown already is looked at again. */
  show(filters) {
    this.#query = queryOf(filters);
    this.address = addressOf(filters);
    const asked = JSON.stringify(this.#query);
    const again = asked === this.#asked;
    this.#asked = asked;
    if (!again) {
      batch(() => {
        this.selected.value = new Set();
        this.outdated.value = true;
        // Rows of before stay until there are others: a list that flickers cannot be read.
        if (this.phase.value === "failed") this.phase.value = "loading";
      });
    }
    return this.#fetch({ limit: again ? this.#shown() : PAGE });
  }

  /** Forget everything. */
  clear() {
    this.#request.abort();
    this.#asked = "";
    this.address = "/sessions";
    batch(() => {
      this.rows.value = [];
      this.selected.value = new Set();
      this.#cursor.value = null;
      this.phase.value = "loading";
      this.busy.value = false;
    });
  }

  /** Look again. */
  refresh() {
    return this.#fetch({ limit: this.#shown() });
  }

  /** Fetch the next page. */
  more() {
    if (this.busy.value || !this.hasMore.value) return;
    return this.#fetch({ limit: PAGE, cursor: this.#cursor.value });
  }

  /** @param {string} id @param {boolean} on */
  select(id, on) {
    const selected = new Set(this.selected.value);
    if (on) selected.add(id);
    else selected.delete(id);
    this.selected.value = selected;
  }

  /** @param {boolean} on */
  selectAll(on) {
    this.selected.value = new Set(on ? this.rows.value.map(({ id }) => id) : []);
  }

  /** These are gone. @param {string[]} ids */
  forget(ids) {
    const gone = new Set(ids);
    batch(() => {
      this.rows.value = this.rows.value.filter(({ id }) => !gone.has(id));
      this.selected.value = new Set([...this.selected.value].filter((id) => !gone.has(id)));
    });
  }

  #shown() {
    const pages = Math.ceil(this.rows.value.length / PAGE);
    return Math.min(MOST, Math.max(1, pages) * PAGE);
  }

  async #fetch(range) {
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.busy.value = true;
    try {
      const page = await get("/sessions", { query: { ...this.#query, ...range }, signal });
      batch(() => {
        this.rows.value = range.cursor ? [...this.rows.value, ...page.sessions] : page.sessions;
        this.#cursor.value = page.next_cursor;
        this.problem.value = null;
        this.phase.value = "ready";
        this.busy.value = this.outdated.value = false;
        this.#keepSelected();
      });
    } catch (error) {
      if (signal.aborted) return; // another request is under way
      batch(() => {
        this.problem.value = error;
        if (this.rows.value.length === 0) this.phase.value = "failed";
        this.busy.value = this.outdated.value = false;
      });
    }
  }

  #keepSelected() {
    const there = new Set(this.rows.value.map(({ id }) => id));
    this.selected.value = new Set([...this.selected.value].filter((id) => there.has(id)));
  }
}

export const list = new SessionList();

// The next one who signs in must not see what this one saw, not even for a moment.
effect(() => {
  if (access.state.value === "out") list.clear();
});
