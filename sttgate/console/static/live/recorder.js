// A recording, from the microphone to what is stored. It goes on while other pages are shown.

import { computed, signal } from "../vendor/preact.js";
import { socketProtocols } from "../api.js";
import { clock, seconds } from "../format.js";
import { Captions } from "./captions.js";
import { Microphone, MicrophoneError, microphones } from "./microphone.js";
import { setup } from "./setup.js";
import { BYTES_PER_SECOND, Tape } from "./tape.js";
import { Uplink } from "./uplink.js";

const QUIET = 10 ** (-66 / 20); // RMS below which a microphone is off rather than its room quiet
const QUIET_SECONDS = 5;
const LATENCIES = 9; // of which the badge shows the median
const LEVELS = 64; // frames the meter remembers

/**
 * @typedef {{code: string, message: string}} Problem
 * @typedef {{state: "ready"|"recovering"|"out", name: string, message: string}} Engine
 */
class Recorder {
  /** "idle", "asking", "connecting", "live", "stopping", "saved", "failed" */
  phase = signal("idle");
  problem = signal(/** @type {Problem|null} */ (null));
  /** Seconds recorded. */
  captured = signal(0);
  /** RMS of the last frames, newest last, 0 to 1. */
  levels = signal(/** @type {number[]} */ ([]));
  silent = signal(false);
  engine = signal(/** @type {Engine} */ ({ state: "ready", name: "", message: "" }));
  /** Seconds of sound whose words are not final. */
  unsettled = signal(0);
  /** Seconds of sound that no engine has heard. */
  unheard = signal(0);
  /** Seconds from a sound to its word, null while that is not known. */
  latency = signal(/** @type {number|null} */ (null));
  /** The last thing the gateway warned of. */
  warning = signal("");
  /** Seconds the gateway gives us to finish, null if it stays. */
  goesAway = signal(/** @type {number|null} */ (null));
  /** The sessions of the recording that is over. */
  parts = signal(/** @type {import("./uplink.js").Part[]} */ ([]));
  /** What the gateway never got, as a file. */
  rest = signal(/** @type {Blob|null} */ (null));
  uplink = signal(/** @type {Uplink|null} */ (null));
  microphones = signal(/** @type {{id: string, label: string}[]} */ ([]));
  captions = new Captions();

  /** Whether leaving would lose something. */
  busy = computed(() => ["asking", "connecting", "live", "stopping"].includes(this.phase.value));
  /** Whether the microphone is on. */
  recording = computed(() => ["connecting", "live"].includes(this.phase.value));

  #microphone = /** @type {Microphone|null} */ (null);
  #tape = new Tape();
  #quietSince = 0;
  #settled = 0;
  #latencies = /** @type {number[]} */ ([]);
  #wakeLock = null;

  constructor() {
    addEventListener("beforeunload", (event) => {
      if (this.busy.value) event.preventDefault();
    });
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.listMicrophones());
  }

  async listMicrophones() {
    this.microphones.value = await microphones().catch(() => []);
  }

  /** Start if nothing is recorded, stop if something is. */
  toggle() {
    if (this.recording.value) return this.stop();
    if (!this.busy.value) return this.start();
  }

  async start() {
    this.#reset();
    this.phase.value = "asking";
    try {
      this.#microphone = await this.#openMicrophone();
    } catch (error) {
      this.#fail(error instanceof MicrophoneError ? error.code : "broken", "");
      return;
    }
    this.phase.value = "connecting";
    this.listMicrophones();
    this.#stayAwake();
    this.uplink.value = new Uplink({
      tape: this.#tape,
      fields: setup.startFields(),
      protocols: socketProtocols,
      onEvent: (event, base) => this.#take(event, base),
      onPart: (part) => this.#nextPart(part),
      onOver: (parts, refusal) => this.#over(parts, refusal),
    });
    this.uplink.value.open();
  }

  async stop() {
    if (!this.recording.value) return;
    this.phase.value = "stopping";
    await this.#closeMicrophone();
    this.uplink.value?.finish();
  }

  /** A bookmark at this moment. */
  mark() {
    if (!this.recording.value) return;
    this.uplink.value.mark("");
    this.#note("flag", `Mark at ${clock(this.captured.value)}`);
  }

  /** Stop waiting for a gateway that is gone. What it has not got can be saved as a file. */
  async giveUp() {
    await this.#closeMicrophone();
    const from = this.uplink.value?.abandon() ?? 0;
    if (this.#tape.end > from) this.rest.value = this.#tape.wav(from);
  }

  #note(icon, text) {
    this.captions.note(icon, text, this.captured.value);
  }

  #reset() {
    this.captions.clear();
    this.#tape = new Tape();
    this.#quietSince = this.#settled = 0;
    this.#latencies = [];
    this.problem.value = this.latency.value = this.goesAway.value = this.rest.value = null;
    this.captured.value = this.unsettled.value = this.unheard.value = 0;
    this.silent.value = false;
    this.warning.value = "";
    this.levels.value = [];
    this.parts.value = [];
    this.engine.value = { state: "ready", name: "", message: "" };
  }

  // --- from the microphone --------------------------------------------------------------------

  #record(pcm, rms) {
    this.#tape.append(pcm);
    this.captured.value = this.#tape.end / BYTES_PER_SECOND;
    this.unsettled.value = Math.max(0, this.captured.value - this.#settled);
    this.levels.value = [...this.levels.value, rms].slice(-LEVELS);
    if (rms >= QUIET) this.#quietSince = this.captured.value;
    this.silent.value = this.captured.value - this.#quietSince >= QUIET_SECONDS;
    this.uplink.value?.flush();
  }

  /** The microphone was unplugged, or taken away. What there is, is saved. */
  #lose() {
    this.#note("micOff", "The microphone is gone. The recording ends here.");
    this.warning.value = "The microphone was disconnected. What was recorded is saved.";
    this.stop();
  }

  async #openMicrophone() {
    const options = {
      raw: setup.raw.value,
      onFrame: (pcm, rms) => this.#record(pcm, rms),
      onLost: () => this.#lose(),
    };
    try {
      return await Microphone.open({ device: setup.microphone.value, ...options });
    } catch (error) {
      if (error.code !== "missing" || !setup.microphone.value) throw error;
      setup.microphone.value = ""; // the one that was chosen has been unplugged since
      return Microphone.open({ device: "", ...options });
    }
  }

  async #closeMicrophone() {
    const microphone = this.#microphone;
    this.#microphone = null;
    await microphone?.close();
    this.silent.value = false;
    this.#wakeLock?.release().catch(() => {});
    this.#wakeLock = null;
  }

  async #stayAwake() {
    try {
      this.#wakeLock = await navigator.wakeLock?.request("screen");
    } catch {
      // the battery is low, or the page is in the background: it records anyway
    }
  }

  // --- from the gateway -----------------------------------------------------------------------

  #take(event, base) {
    switch (event.event) {
      case "hello":
        setup.offered(event.providers ?? []);
        break;
      case "started":
        this.#engineIs("ready", event.provider);
        if (this.phase.value === "connecting") this.phase.value = "live";
        break;
      case "transcript":
        this.#hear(event, base);
        break;
      case "utterance_end":
        this.captions.utteranceEnd(event, base);
        break;
      case "provider":
        this.unheard.value += event.lost_s ?? 0;
        this.#latencies = [];
        this.#engineIs(event.state === "ready" ? "ready" : "recovering", event.provider);
        break;
      case "gap":
        this.unheard.value += event.end - event.start;
        this.captions.note(
          "alert",
          `${seconds(event.end - event.start)} were recorded, not heard`,
          base + event.end,
        );
        break;
      case "warning":
        this.warning.value = event.message;
        break;
      case "goaway":
        this.goesAway.value = event.deadline_s;
        break;
      case "error":
        this.#engineIs("out", event.provider ?? this.engine.value.name, event.message);
        break;
    }
  }

  #hear(event, base) {
    this.captions.transcript(event, base);
    if (event.is_final) {
      this.#settled = Math.max(this.#settled, base + event.end);
      this.unsettled.value = Math.max(0, this.captured.value - this.#settled);
    } else {
      const late = Math.max(0, this.captured.value - base - event.end);
      this.#latencies = [...this.#latencies, late].slice(-LATENCIES);
      this.latency.value = [...this.#latencies].sort((a, b) => a - b)[this.#latencies.length >> 1];
    }
    if (this.engine.value.state !== "ready") this.#engineIs("ready", this.engine.value.name);
  }

  #engineIs(state, name, message = "") {
    this.engine.value = { state, name, message };
    if (state !== "ready") this.latency.value = null;
  }

  #nextPart(part) {
    if (!this.recording.value && part.complete) return;
    const text = part.complete
      ? "The gateway ended the session; the recording goes on in a new one"
      : "The gateway was restarted; the recording goes on in a new session";
    this.goesAway.value = null;
    this.captions.breakOff("refresh", text);
  }

  #over(parts, refusal) {
    const wasRecording = this.recording.value;
    this.#closeMicrophone();
    this.captions.end();
    this.parts.value = parts.filter(({ id }) => id);
    this.engine.value = { ...this.engine.value, state: "ready", message: "" };
    if (refusal) return this.#fail(refusal.code, refusal.message);
    if (wasRecording) this.warning.value ||= "The gateway ended the recording.";
    this.phase.value = this.parts.value.length > 0 ? "saved" : "failed";
    if (this.phase.value === "failed") this.problem.value = { code: "undelivered", message: "" };
  }

  #fail(code, message) {
    this.problem.value = { code, message };
    this.phase.value = "failed";
  }
}

export const recorder = new Recorder();
