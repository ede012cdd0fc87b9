// The way to the gateway: protocol 2 over sockets that may break, so that nothing of the tape is lost.
//
// A recording is one session as long as the gateway can go on with it. If it cannot (it was restarted,
// or the socket was gone for too long), the recording goes on in another session: from the last byte
// that is safe in the one before. `base` is the position on the tape at which a session begins.

import { signal } from "../vendor/preact.js";
import { BYTES_PER_SECOND } from "./tape.js";

const PATH = "/ws/v1/speech-to-text?protocol=2";
const ACKS = 0.5; // seconds between acknowledgements
const QUEUE = 2 * BYTES_PER_SECOND; // bytes the browser may hold for a slow network
const RETRIES = [300, 1000, 2000, 3000, 5000]; // ms
const SILENCE = 10_000; // ms without a word from the gateway, after which the socket is dead
const PING = 3000; // ms
const TICK = 200; // ms

class Session {
  /** @param {number} base */
  constructor(base) {
    this.base = base;
    this.id = "";
    this.token = "";
    this.lastSeq = 0;
    this.safe = base; // position up to which the sound survives the gateway's death
    this.stopSent = false;
    this.caughtUpAt = 0; // the seq that the gateway had when we came back
  }
}

/**
 * @typedef {{id: string, complete: boolean, stopped: Object|null}} Part a session of the recording
 * @typedef {{code: string, message: string}} Refusal
 */
export class Uplink {
  /** "connecting", "up", "down" (it tries again), "over" */
  state = signal("connecting");
  /** When it tries again, by performance.now(); null if it does not wait. */
  retryAt = signal(/** @type {number|null} */ (null));
  /** Seconds on the tape that the gateway has not got. */
  behind = signal(0);
  /** Seconds that were given up, because the gateway was gone for longer than the tape is. */
  lost = signal(0);

  #tape;
  #fields;
  #protocols;
  #on;
  #socket = null;
  #session = /** @type {Session|null} */ (null);
  #parts = /** @type {Part[]} */ ([]);
  #position = 0; // of the next byte to send
  #sending = false; // whether the socket is past its start
  #marks = /** @type {{at: number, label: string, sent: boolean}[]} */ ([]);
  #finishing = false;
  #attempt = 0;
  #heard = 0;
  #pinged = 0;
  #timer = 0;

  /**
   * @param {{tape: import("./tape.js").Tape, fields: Object, protocols: () => Promise<string[]>,
   *   onEvent: (event: Object, base: number) => void, onPart: (part: Part) => void,
   *   onOver: (parts: Part[], refusal: Refusal|null) => void}} options
   *   `fields`: of `start`; `onEvent` gets what concerns the words; `onPart`: the gateway has ended a
   *   session and the recording goes on in another; `onOver`: all is done, or the gateway refused
   */
  constructor({ tape, fields, protocols, onEvent, onPart, onOver }) {
    this.#tape = tape;
    this.#fields = fields;
    this.#protocols = protocols;
    this.#on = { event: onEvent, part: onPart, over: onOver };
    this.retry = this.retry.bind(this);
  }

  open() {
    this.#timer = setInterval(() => this.#tick(), TICK);
    addEventListener("online", this.retry);
    this.#connect();
  }

  /** There is more on the tape. */
  flush() {
    this.#send();
    this.#measure();
  }

  /** A bookmark at the end of the tape. @param {string} label */
  mark(label) {
    this.#marks.push({ at: this.#tape.end, label, sent: false });
    this.#send();
  }

  /** The tape is complete: send what is left, and stop. */
  finish() {
    this.#finishing = true;
    this.flush();
  }

  /** Try again at once. */
  retry() {
    if (this.state.value === "down" && this.retryAt.value !== null) this.#connect();
  }

  /** Give up. Returns the position from which the gateway has not got the tape. */
  abandon() {
    const from = this.#session?.safe ?? this.#position;
    if (this.#session?.id) this.#close(this.#session, null);
    this.#end(null);
    return from;
  }

  // --- the socket -----------------------------------------------------------------------------

  async #connect() {
    this.retryAt.value = null;
    this.state.value = this.#attempt === 0 ? "connecting" : "down";
    let protocols;
    try {
      protocols = await this.#protocols();
    } catch (error) {
      if (error.status === 403) return this.#end({ code: "forbidden", message: error.message });
      return this.#retryLater();
    }
    if (this.state.value === "over") return;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${PATH}`, protocols);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#begin();
    socket.onclose = () => this.#retryLater();
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    this.#socket = socket;
    this.#heard = performance.now();
  }

  #begin() {
    if (this.#session?.token) {
      const { id, token, lastSeq } = this.#session;
      const resume = { session_id: id, token, last_seq: lastSeq };
      this.#say({ event: "start", resume, acks: ACKS });
      return; // `resumed` says from where to send
    }
    // A session we know no name of cannot be taken up: it keeps what it got, and the new one gets
    // all of that again.
    const base = this.#session?.base ?? this.#position;
    this.#session = new Session(base);
    this.#marks = this.#marks.filter(({ at }) => at >= base);
    this.#say({ event: "start", ...this.#fields, ...this.#continued(), acks: ACKS, resumable: true });
    this.#sendFrom(base);
  }

  /** A session that continues another one says so. */
  #continued() {
    const before = this.#parts.at(-1);
    return before && { metadata: { ...this.#fields.metadata, continues: before.id } };
  }

  #retryLater() {
    this.#drop();
    if (this.state.value === "over") return;
    const delay = RETRIES[Math.min(this.#attempt, RETRIES.length - 1)];
    this.#attempt += 1;
    this.state.value = "down";
    this.retryAt.value = performance.now() + delay;
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#sending = false;
    if (!socket) return;
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close();
  }

  #tick() {
    const now = performance.now();
    if (this.retryAt.value !== null && now >= this.retryAt.value) this.#connect();
    if (this.#socket && now - this.#heard > SILENCE) this.#retryLater();
    if (this.#sending && now - this.#pinged > PING) {
      this.#pinged = now;
      this.#say({ event: "ping", id: 0 });
    }
    this.flush();
  }

  #say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #end(refusal) {
    this.state.value = "over";
    this.retryAt.value = null;
    clearInterval(this.#timer);
    removeEventListener("online", this.retry);
    this.#drop();
    this.#on.over(this.#parts, refusal);
  }

  // --- to the gateway -------------------------------------------------------------------------

  #sendFrom(position) {
    this.#position = position;
    for (const mark of this.#marks) mark.sent = mark.at < position;
    this.#sending = true;
    this.#attempt = 0;
    this.state.value = "up";
    this.flush();
  }

  #send() {
    if (!this.#sending || this.#session.stopSent) return;
    this.#skipWhatIsGone();
    this.#sendMarks();
    while (this.#position < this.#tape.end && this.#socket.bufferedAmount < QUEUE) {
      const sound = this.#tape.read(this.#position);
      this.#socket.send(sound);
      this.#position += sound.length;
      this.#sendMarks();
    }
    const all = this.#position === this.#tape.end && this.#marks.every(({ sent }) => sent);
    if (this.#finishing && all) {
      this.#session.stopSent = true;
      this.#say({ event: "stop" });
    }
  }

  /** The clock of the session does not know what it was never sent: its base moves. */
  #skipWhatIsGone() {
    const gone = this.#tape.start - this.#position;
    if (gone <= 0) return;
    this.#session.base += gone;
    this.#position += gone;
    this.lost.value += gone / BYTES_PER_SECOND;
  }

  #sendMarks() {
    // Whether a mark at the very end of what the gateway has got has arrived shows only when all
    // events that we missed are here.
    const caughtUp = this.#session.lastSeq >= this.#session.caughtUpAt;
    for (const mark of this.#marks) {
      if (mark.sent || mark.at > this.#position) continue;
      if (mark.at === this.#position && !caughtUp) continue;
      mark.sent = true;
      this.#say({ event: "mark", label: mark.label });
    }
  }

  #measure() {
    const waiting = this.#socket?.bufferedAmount ?? 0;
    const safe = this.#session?.safe ?? this.#position;
    const reached = this.#sending ? this.#position - waiting : safe;
    this.behind.value = Math.max(0, this.#tape.end - reached) / BYTES_PER_SECOND;
  }

  // --- from the gateway -----------------------------------------------------------------------

  #take(event) {
    this.#heard = performance.now();
    const session = this.#session;
    if (!session) return;
    if (event.seq) session.lastSeq = Math.max(session.lastSeq, event.seq);
    switch (event.event) {
      case "started":
        session.id = event.session_id;
        session.token = event.resume_token ?? "";
        break;
      case "resumed":
        session.caughtUpAt = event.seq;
        session.stopSent = false; // it may have been lost: it is sent again
        this.#sendFrom(session.base + event.received_bytes);
        break;
      case "ack":
        this.#acknowledge(session, event.stored_s);
        return;
      case "pong":
        return;
      case "marked":
        this.#marks.shift(); // they are answered in their order
        break;
      case "stopped":
        return this.#stopped(session, event);
      case "error":
        if (this.#failed(session, event)) return;
        break;
    }
    this.#on.event(event, session.base / BYTES_PER_SECOND);
    this.#send(); // a mark may have waited for this event
  }

  #acknowledge(session, storedSeconds) {
    // Rounded to milliseconds by the gateway, so down to whole samples a millisecond earlier.
    const stored = Math.max(0, Math.floor((storedSeconds - 0.001) * (BYTES_PER_SECOND / 2)) * 2);
    session.safe = Math.max(session.safe, session.base + stored);
    if (session.token) this.#tape.release(session.safe);
  }

  #stopped(session, event) {
    this.#on.event(event, session.base / BYTES_PER_SECOND);
    session.id = event.session_id;
    this.#close(session, event);
    if (session.stopSent) return this.#end(null);
    // The gateway ended it, for it shuts down or has its limits: what came later begins the next one.
    const taken = Math.round(event.duration_s * (BYTES_PER_SECOND / 2)) * 2;
    const position = Math.min(session.base + taken, this.#tape.end);
    this.#tape.release(position);
    if (event.reason === "idle") return this.#end(null);
    this.#continueFrom(position);
  }

  #continueFrom(position) {
    this.#position = position;
    if (this.#finishing && position === this.#tape.end) return this.#end(null);
    this.#retryLater();
  }

  /** Whether the error is dealt with. */
  #failed(session, event) {
    if (event.code === "session_not_found") {
      this.#close(session, null);
      this.#continueFrom(session.safe);
      return true;
    }
    const refused = !session.id && event.seq === undefined;
    if (!refused && !event.fatal) return false;
    if (event.code === "unauthorized" || event.retryable) {
      this.#on.event(event, session.base / BYTES_PER_SECOND);
      this.#retryLater();
      return true;
    }
    this.#end({ code: event.code, message: event.message });
    return true;
  }

  /** A session is over. @param {Session} session @param {Object|null} stopped */
  #close(session, stopped) {
    const part = { id: session.id, complete: stopped !== null, stopped };
    this.#parts.push(part);
    this.#session = null;
    if (!session.stopSent || stopped === null) this.#on.part(part);
  }
}
