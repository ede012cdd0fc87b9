// The files of this tab: sent one after the other, and watched. It goes on while other pages are shown.

import { computed, effect, signal } from "../vendor/preact.js";
import { access } from "../access.js";
import { ApiError, get } from "../api.js";
import { roughly } from "../format.js";
import { setup } from "../live/setup.js";
import { Streams } from "./streams.js";
import { Upload } from "./upload.js";

const WATCHED = 3; // at a time

/**
 * What the gateway takes.
 * @typedef {{max_bytes: number, max_seconds: number, formats: "wav"|"any", full: boolean}} Terms
 */
class Uploads {
  /** What came last is first; what came together is in its order. */
  list = signal(/** @type {Upload[]} */ ([]));
  /** What the gateway takes, null while that is not known. */
  terms = signal(/** @type {Terms|null} */ (null));
  /** Something that happened to one of them, for screen readers. */
  news = signal("");
  /** Whether some are still to be sent. */
  fragile = computed(() => this.list.value.some(({ fragile }) => fragile.value));
  /** How many are not over. */
  busy = computed(() => this.list.value.filter(({ over }) => !over.value).length);

  #streams = new Streams(WATCHED);
  #sending = false;
  #count = 0;

  constructor() {
    let signedIn = false;
    effect(() => {
      const { value: state } = access.state;
      // Who signs out leaves nothing behind; a key that was refused is only to be replaced.
      if (signedIn && state === "out" && !access.problem.peek()) this.#forget();
      signedIn = state === "in";
    });
    addEventListener("beforeunload", (event) => {
      if (this.fragile.value) event.preventDefault();
    });
  }

  /** Ask the gateway what it takes. One that cannot tell will say so to each file. */
  async load() {
    if (!access.may("transcribe")) return;
    try {
      this.terms.value = await get("/transcriptions");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /** @param {Iterable<File>} files */
  add(files) {
    const fields = setup.uploadFields();
    const added = [...files].map((file) => {
      const upload = new Upload(file, (this.#count += 1), fields, this.#streams);
      const objection = this.#objection(file);
      if (objection) upload.refuse(objection);
      return upload;
    });
    for (const upload of added) {
      upload.phase.subscribe((phase) => {
        if (phase === "done") this.news.value = `${upload.file.name} is transcribed.`;
      });
    }
    this.list.value = [...added, ...this.list.value];
    this.#send();
  }

  /** @param {Upload} upload */
  again(upload) {
    upload.reset();
    this.#send();
  }

  /** Stop it, and show it no more. @param {Upload} upload */
  async cancel(upload) {
    const { over } = upload;
    const was = over.value;
    try {
      await upload.cancel();
    } catch (error) {
      this.news.value = `${upload.file.name} could not be cancelled. ${error.message}`;
      throw error;
    }
    if (!was && over.value && upload.phase.value === "done") return; // it was too late for that
    if (!was) this.news.value = `${upload.file.name} is cancelled.`;
    this.remove(upload);
  }

  /** @param {Upload} upload */
  remove(upload) {
    this.list.value = this.list.value.filter((other) => other !== upload);
  }

  /** Show those no more that are over. */
  clear() {
    this.list.value = this.list.value.filter(({ over }) => !over.value);
  }

  #forget() {
    for (const upload of this.list.peek()) upload.leave();
    this.list.value = [];
    this.news.value = "";
  }

  #objection(file) {
    const most = this.terms.value?.max_bytes;
    if (file.size === 0) return "The file is empty.";
    if (most && file.size > most) {
      return `The file is larger than ${mebibytes(most)}.`;
    }
    return "";
  }

  async #send() {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (;;) {
        const waiting = this.list.value.filter(({ phase }) => phase.value === "waiting");
        if (waiting.length === 0) return;
        const next = waiting.reduce((first, other) => (other.number < first.number ? other : first));
        await next.send();
      }
    } finally {
      this.#sending = false;
    }
  }
}

/** What is taken, in a sentence. @param {Terms|null} terms */
export function describe(terms) {
  if (!terms) return "Recordings, or films with sound.";
  const kinds = terms.formats === "wav" ? "WAV files" : "WAV, MP3, M4A, FLAC, Ogg, WebM, MP4 and others";
  return `${kinds}, up to ${mebibytes(terms.max_bytes)} and ${roughly(terms.max_seconds)} each.`;
}

/** As the gateway counts them, and its operator: "500 MiB". @param {number} n bytes */
function mebibytes(n) {
  return `${Math.round(n / 1024 ** 2).toLocaleString("en")} MiB`;
}

export const uploads = new Uploads();
