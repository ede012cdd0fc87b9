// One file, from this computer to a conversation.

import { batch, computed, signal } from "../vendor/preact.js";
import { access } from "../access.js";
import { events, get, request, sendFile } from "../api.js";

const FIRST_HOLD = 3000; // milliseconds until a file is sent again that could not be, then ever more
const LAST_HOLD = 60_000;
const FIRST_PAUSE = 1000; // milliseconds until a gateway that has a file is looked for, then ever more
const LAST_PAUSE = 15_000;
const LOOK_INTERVAL = 2500; // milliseconds between two looks at what is not watched
const RATE_AFTER = 1500; // milliseconds of sending after which its speed says something
const PASSING = [0, 408, 429, 503]; // states of the gateway or the network, not of the file
const FRUITLESS = ["unsupported_encoding", "max_duration", "too_large", "bad_request", "unreadable"];

/**
 * "waiting" (for those before it), "sending", "held" (it is sent again in a moment), "queued",
 * "decoding", "transcribing", "done", "failed", "sent" (taken, but we may not see what becomes of it)
 * @typedef {"waiting"|"sending"|"held"|"queued"|"decoding"|"transcribing"|"done"|"failed"|"sent"} Phase
 * @typedef {{message: string, again: boolean}} Problem `again`: whether another attempt makes sense
 */
export class Upload {
  phase = signal(/** @type {Phase} */ ("waiting"));
  /** Of the phase, from 0 to 1. */
  progress = signal(0);
  /** Seconds until all is sent, null while that cannot be told. */
  left = signal(/** @type {number|null} */ (null));
  /** Seconds of audio, once they are known. */
  duration = signal(/** @type {number|null} */ (null));
  /** What was said so far. */
  text = signal("");
  /** What may still change. */
  interim = signal("");
  /** Why it failed, or is held. */
  problem = signal(/** @type {Problem|null} */ (null));
  /** Something about a conversation that is there nevertheless. */
  remark = signal("");
  /** Whether the gateway that has the file does not answer. */
  lost = signal(false);
  /** The id of the conversation, once there is one. */
  session = signal(/** @type {string|null} */ (null));

  /** Whether nothing more happens. */
  over = computed(() => ["done", "failed", "sent"].includes(this.phase.value));
  /** Whether closing the tab would lose it. */
  fragile = computed(() => ["waiting", "sending", "held"].includes(this.phase.value));

  #fields;
  #streams;
  #stop = new AbortController();
  #id = /** @type {string|null} */ (null);

  /**
   * @param {File} file
   * @param {number} number in the order they came
   * @param {Object<string, string>} fields what is asked for it
   * @param {import("./streams.js").Streams} streams
   */
  constructor(file, number, fields, streams) {
    this.file = file;
    this.number = number;
    this.#fields = fields;
    this.#streams = streams;
  }

  /** Say that it cannot be sent at all. @param {string} message */
  refuse(message) {
    this.#fail(message, false);
  }

  /** Send it; returns once the gateway has it, or that failed for good. */
  async send() {
    let hold = FIRST_HOLD;
    for (;;) {
      try {
        this.#id = await this.#send();
        break;
      } catch (error) {
        if (error.name === "AbortError") return;
        const fruitless = FRUITLESS.includes(error.code);
        if (fruitless || !PASSING.includes(error.status)) {
          this.#fail(error.message, !fruitless);
          return;
        }
        this.#hold(error.message);
      }
      if (!(await this.#pause(hold))) return;
      hold = Math.min(2 * hold, LAST_HOLD);
    }
    this.#follow();
  }

  /** Make a failed one a new one. */
  reset() {
    this.#stop = new AbortController();
    this.#id = null;
    batch(() => {
      this.phase.value = "waiting";
      this.problem.value = null;
      this.session.value = null;
      this.#forgetWords();
    });
  }

  /** Stop it, wherever it is; the gateway keeps nothing. ApiError if it cannot be asked to. */
  async cancel() {
    if (this.#id && !this.over.value) {
      try {
        await request(`/transcriptions/${this.#id}`, { method: "DELETE" });
      } catch (error) {
        if (error.status === 409) return this.#look(); // it has just been done
        if (error.status !== 404) throw error;
      }
    }
    this.leave();
  }

  /** Have nothing more to do with it; what the gateway has, it goes on with. */
  leave() {
    this.#stop.abort();
  }

  async #send() {
    batch(() => {
      this.progress.value = 0;
      this.left.value = null;
      this.problem.value = null;
      this.phase.value = "sending";
    });
    const began = performance.now();
    const { id } = await sendFile("/transcriptions", {
      file: this.file,
      query: this.#fields,
      signal: this.#stop.signal,
      onProgress: (part) => {
        const took = performance.now() - began;
        this.progress.value = part;
        this.left.value = took > RATE_AFTER && part > 0 ? (took / 1000 / part) * (1 - part) : null;
      },
    });
    return id;
  }

  /** Watch what becomes of it, as long as that takes. */
  async #follow() {
    batch(() => {
      this.phase.value = access.may("read") ? "queued" : "sent";
      this.progress.value = 0;
      this.left.value = null;
    });
    let pause = FIRST_PAUSE;
    while (!this.over.value && !this.#stop.signal.aborted) {
      try {
        if (!(await this.#streams.use(() => this.#watch()))) await this.#look();
        this.lost.value = false;
        pause = FIRST_PAUSE;
        // A stream may end before the file is done: the gateway goes away, or takes up what a crash left.
        if (!this.over.value) await this.#pause(LOOK_INTERVAL);
        continue;
      } catch (error) {
        if (error.name === "AbortError") return;
        if (error.status === 404) return this.#fail("The gateway does not have this file any more.", true);
        if (error.status === 403) return this.#fail(error.message, false);
        this.lost.value = true; // it is tried again, with another key if need be
      }
      await this.#pause(pause);
      pause = Math.min(2 * pause, LAST_PAUSE);
    }
  }

  async #watch() {
    const { signal } = this.#stop;
    let heard = false;
    for await (const { event, data } of events(`/transcriptions/${this.#id}/events`, { signal })) {
      this.lost.value = false;
      if (event === "transcript") {
        // All from the beginning, each time: a gateway that was restarted hears the file anew.
        if (!heard) this.#forgetWords();
        heard = true;
        this.#hear(data);
      } else if (["progress", "done", "failed"].includes(event)) await this.#take(data, heard);
    }
  }

  async #look() {
    await this.#take(await get(`/transcriptions/${this.#id}`, { signal: this.#stop.signal }), false);
  }

  #hear({ is_final: isFinal, text }) {
    batch(() => {
      const words = text.trim();
      if (isFinal) this.text.value = [this.text.value, words].filter(Boolean).join(" ");
      this.interim.value = isFinal ? "" : words;
    });
  }

  async #take({ state, progress, duration, session, error }, heard) {
    const stored = state === "done" && !heard ? await this.#storedText(session) : null;
    batch(() => {
      this.duration.value = duration;
      this.session.value = session;
      this.progress.value = progress;
      if (state === "failed") return this.#fail(error.detail, !FRUITLESS.includes(error.code));
      if (state === "done") {
        this.interim.value = "";
        this.remark.value = error?.detail ?? "";
        this.text.value = stored ?? this.text.value;
      }
      this.phase.value = state;
    });
  }

  /** What was said while nobody watched, null if that cannot be had. */
  async #storedText(session) {
    try {
      return (await get(`/sessions/${session}`, { signal: this.#stop.signal })).text;
    } catch {
      return null; // it stands in the conversation
    }
  }

  #hold(message) {
    batch(() => {
      this.problem.value = { message, again: true };
      this.phase.value = "held";
    });
  }

  #fail(message, again) {
    batch(() => {
      this.problem.value = { message, again };
      this.interim.value = "";
      this.lost.value = false;
      this.phase.value = "failed";
    });
  }

  #forgetWords() {
    this.text.value = "";
    this.interim.value = "";
  }

  /** Wait, or until there is a network again; tells whether to go on. @param {number} ms */
  #pause(ms) {
    const { signal } = this.#stop;
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        removeEventListener("online", end);
        resolve(!signal.aborted);
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener("abort", end);
      addEventListener("online", end);
    });
  }
}
