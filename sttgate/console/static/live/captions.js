// The words so far, as blocks to show: one for each utterance, and notes between them.

import { batch, signal } from "../vendor/preact.js";

/**
 * @typedef {{kind: "utterance", key: string, at: number, speaker: string|null, channel: number,
 *   finals: import("../vendor/preact.js").Signal<string[]>}} Utterance
 * @typedef {{kind: "note", key: string, icon: string, text: string}} Note
 */
export class Captions {
  /** In the order of their appearance; only ever appended to. */
  blocks = signal(/** @type {(Utterance|Note)[]} */ ([]));
  /** What is being said: by channel, the words that may still change. */
  interims = signal(/** @type {{channel: number, text: string}[]} */ ([]));
  /** Whether what comes is kept back for now. */
  held = signal(false);
  #waiting = /** @type {(() => void)[]} */ ([]);
  #open = /** @type {Map<string, Utterance>} */ (new Map());
  #keys = 0;

  /** Whether there is anything to see. */
  get empty() {
    return this.blocks.value.length === 0 && this.interims.value.length === 0;
  }

  clear() {
    batch(() => {
      this.blocks.value = [];
      this.interims.value = [];
      this.held.value = false;
    });
    this.#waiting = [];
    this.#open.clear();
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

  /** Something between the words. @param {string} icon @param {string} text */
  note(icon, text) {
    this.#show(() => {
      this.#append({ kind: "note", key: this.#key(), icon, text });
      this.#open.clear();
    });
  }

  /** No more words will come. */
  end() {
    this.#show(() => (this.interims.value = []));
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
    if (!text) return;
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
