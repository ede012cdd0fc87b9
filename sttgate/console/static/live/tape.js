// The sound that has been recorded and is not yet safe with the gateway.
//
// Positions are bytes since the recording began. What is safe is released; beyond the limit the oldest
// sound is given up, and `dropped` says how much.

export const RATE = 16000; // samples a second
export const BYTES_PER_SECOND = 2 * RATE;
const LIMIT = 60 * BYTES_PER_SECOND;

export class Tape {
  #frames = /** @type {Uint8Array[]} */ ([]);

  /** @param {number} [limit] bytes */
  constructor(limit = LIMIT) {
    this.limit = limit;
    this.start = 0; // of what is kept
    this.end = 0; // of what was recorded
    this.dropped = 0; // bytes that were given up
  }

  /** @param {ArrayBuffer} pcm whole samples */
  append(pcm) {
    if (pcm.byteLength === 0) return;
    this.#frames.push(new Uint8Array(pcm));
    this.end += pcm.byteLength;
    while (this.end - this.start > this.limit) this.dropped += this.#shift();
  }

  /** Forget what lies before a position: it is safe. Only whole frames go. @param {number} position */
  release(position) {
    while (this.#frames.length > 0 && this.start + this.#frames[0].length <= position) this.#shift();
  }

  /**
   * The sound from a position to the end of its frame; null at the end of the tape. What was given up
   * cannot be read: ask for `start` then.
   * @param {number} position
   * @returns {Uint8Array|null}
   */
  read(position) {
    if (position < this.start) throw new RangeError(`${position} lies before ${this.start}`);
    let from = this.start;
    for (const frame of this.#frames) {
      if (position < from + frame.length) return frame.subarray(position - from);
      from += frame.length;
    }
    return null;
  }

  /** All that is kept, as the content of a WAV file. @param {number} [from] position */
  wav(from = this.start) {
    const parts = [];
    for (let at = Math.max(from, this.start); at < this.end; at += parts.at(-1).length) {
      parts.push(this.read(at));
    }
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    return new Blob([wavHeader(size), ...parts], { type: "audio/wav" });
  }

  #shift() {
    const { length } = this.#frames.shift();
    this.start += length;
    return length;
  }
}

function wavHeader(size) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, value) => [...value].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + size, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channel
  view.setUint32(24, RATE, true);
  view.setUint32(28, BYTES_PER_SECOND, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, size, true);
  return view.buffer;
}
