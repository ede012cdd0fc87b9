// The words so far, as blocks to show: one for each utterance, and notes between them.

import { batch, signal } from "../vendor/preact.js";

/**
 * @typedef {{kind: "utterance", key: string, at: number|null, speaker: string|null, channel: number,
 *   finals: import("../vendor/preact.js").Signal<string[]>}} Utterance
 *   `at`: seconds of the recording, null for words that were left unsettled
 * @typedef {{kind: "note", key: string, icon: string, text: string}} Note
 */
export class Captions {
  /** In the order of their appearance; only ever appended to. */
  blocks = signal(/** @type {(Utterance|Note)[]} */ ([]));
  /** What is being said: by channel, the words that may still change. */
  interims = signal(/** @type {{channel: number, text: string}[]} */ ([]));
  /** Notes at a moment whose words are not final yet; then they move to the blocks. */
  pending = signal(/** @type {{note: Note, at: number}[]} */ ([]));
  /** Whether what comes is kept back for now. */
  held = signal(false);
  #waiting = /** @type {(() => void)[]} */ ([]);
  #open = /** @type {Map<string, Utterance>} */ (new Map());
  #keys = 0;
  #settled = 0; // seconds whose words are final

  /** Whether there is anything to see. */
  get empty() {
    return [this.blocks, this.interims, this.pending].every(({ value }) => value.length === 0);
  }

  clear() {
    batch(() => {
      this.blocks.value = [];
      this.interims.value = [];
      this.pending.value = [];
      this.held.value = false;
    });
    this.#waiting = [];
    this.#open.clear();
    this.#settled = 0;
  }

  /**
   * A transcript of protocol 2.
   * @param {Object} event @param {number} base seconds of the recording before its session
   */
  transcript(event, base) {
    this.#show(() => (event.is_final ? this.#final(event, base) : this.#interim(event)));
  }

  /** The utterance is complete. @param {Object} event @param {number} base */
  utteranceEnd(event, base) {
    this.#show(() => this.#open.delete(keyOf(event, base)));
  }

  /**
   * Something between the words. Its place is after the words up to `at`.
   * @param {string} icon @param {string} text @param {number} at seconds of the recording
   */
  note(icon, text, at) {
    this.#show(() => {
      const note = { kind: "note", key: this.#key(), icon, text };
      this.pending.value = [...this.pending.value, { note, at }];
      if (at <= this.#settled) this.#settle(at);
    });
  }

  /**
   * What was being said will not be settled here: it stays as it is, and a note says why.
   * @param {string} icon @param {string} text
   */
  breakOff(icon, text) {
    this.#show(() => {
      for (const { channel, text: words } of this.interims.value) this.#leave(channel, words);
      this.interims.value = [];
      this.#settle(Infinity);
      this.#settled = 0;
      this.#append({ kind: "note", key: this.#key(), icon, text });
    });
  }

  /** No more words will come. */
  end() {
    this.#show(() => {
      this.interims.value = [];
      this.#settle(Infinity);
    });
    this.release();
  }

  hold() {
    this.held.value = true;
  }

  /** Show what was kept back. */
  release() {
    const waiting = this.#waiting;
    this.#waiting = [];
    batch(() => {
      this.held.value = false;
      for (const show of waiting) show();
    });
  }

  #show(change) {
    if (this.held.value) this.#waiting.push(change);
    else batch(change);
  }

  #interim({ channel, text }) {
    const others = this.interims.value.filter((interim) => interim.channel !== channel);
    const all = text.trim() ? [...others, { channel, text: text.trim() }] : others;
    this.interims.value = all.sort((a, b) => a.channel - b.channel);
  }

  #final(event, base) {
    this.#interim({ channel: event.channel, text: "" });
    const text = event.text.trim();
    if (!text) return this.#settle(base + event.end);
    const key = keyOf(event, base);
    let utterance = this.#open.get(key);
    if (!utterance || utterance.speaker !== event.speaker) {
      utterance = {
        kind: "utterance",
        key: this.#key(),
        at: base + event.start,
        speaker: event.speaker,
        channel: event.channel,
        finals: signal([]),
      };
      this.#open.set(key, utterance);
      this.#append(utterance);
    }
    utterance.finals.value = [...utterance.finals.value, text];
    this.#settle(base + event.end);
  }

  #leave(channel, words) {
    const key = this.#key();
    this.#append({ kind: "utterance", key, at: null, speaker: null, channel, finals: signal([`${words} …`]) });
  }

  /** The words up to `at` are final: what was noted until then has its place. */
  #settle(at) {
    this.#settled = Math.max(this.#settled, at);
    const due = this.pending.value.filter((pending) => pending.at <= at);
    if (due.length === 0) return;
    this.pending.value = this.pending.value.filter((pending) => pending.at > at);
    for (const { note } of due) this.#append(note);
    this.#open.clear(); // what follows, follows the note
  }

  #append(block) {
    this.blocks.value = [...this.blocks.value, block];
  }

  #key() {
    return String(this.#keys++);
  }
}

function keyOf({ utterance_id: id, channel }, base) {
  return `${base}/${channel}/${id}`;
}
