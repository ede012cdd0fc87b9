// One file in the list.

import { html, useState } from "../vendor/preact.js";
import { bytes, clock, percent, roughly } from "../format.js";
import { Icon } from "../parts/icon.js";
import { Notice } from "../parts/notice.js";
import { uploads } from "./uploads.js";

const SHOWN = 280; // characters of what was said

/** @param {{upload: import("./upload.js").Upload}} props */
export function Row({ upload }) {
  const { file } = upload;
  const phase = upload.phase.value;
  const duration = upload.duration.value;
  const facts = [bytes(file.size), duration !== null && clock(duration)].filter(Boolean);
  return html`<li class="card upload ${phase}">
    <div class="upload-head">
      <span class="upload-icon"><${Icon} name=${ICONS[phase] ?? "wave"} /></span>
      <h3 class="upload-name">${file.name}</h3>
      <p class="upload-facts">${facts.join(" · ")}</p>
      <${Away} upload=${upload} />
    </div>
    ${!upload.over.value && html`<${Progress} upload=${upload} />`}
    <${Words} upload=${upload} />
    <${Outcome} upload=${upload} />
  </li>`;
}

const ICONS = { done: "check", failed: "alert", sent: "check" };

function Away({ upload }) {
  const [problem, setProblem] = useState("");
  const over = upload.over.value;
  const verb = over ? "Remove from the list" : "Cancel";
  const act = async () => {
    setProblem("");
    await uploads.cancel(upload).catch((error) => setProblem(error.message));
  };
  return html`<button
      type="button"
      class="quiet small upload-away"
      aria-label=${`${verb}: ${upload.file.name}`}
      title=${verb}
      onClick=${over ? () => uploads.remove(upload) : act}
    >
      <${Icon} name="close" size=${18} />
    </button>
    ${problem && !over && html`<p class="field-error" role="alert">It could not be cancelled. ${problem}</p>`}`;
}

function Progress({ upload }) {
  const phase = upload.phase.value;
  const moving = ["sending", "transcribing"].includes(phase);
  const value = phase === "decoding" ? undefined : moving ? upload.progress.value : 0;
  return html`<div class="upload-progress">
    <progress max="1" value=${value} aria-label=${`${upload.file.name}: ${NAMES[phase]}`}></progress>
    <p class=${upload.lost.value || phase === "held" ? "strained" : ""}>${standing(upload)}</p>
  </div>`;
}

const NAMES = {
  waiting: "waits to be sent",
  sending: "is sent",
  held: "is sent again soon",
  queued: "waits for its turn",
  decoding: "is prepared",
  transcribing: "is transcribed",
};

function standing(upload) {
  const phase = upload.phase.value;
  if (upload.lost.value) {
    return "The gateway does not answer. It has the file; we ask again until it does.";
  }
  switch (phase) {
    case "waiting":
      return "Waits until those before it are sent";
    case "sending":
      return sending(upload);
    case "held":
      return `${upload.problem.value.message} This page tries it again by itself.`;
    case "queued":
      return "Waits for its turn";
    case "decoding":
      return "The gateway prepares it";
  }
  return `Transcribing, ${percent(upload.progress.value)}`;
}

function sending({ progress, left, file }) {
  if (progress.value >= 1) return "Sent; the gateway stores it";
  const parts = [`Sending, ${percent(progress.value)} of ${bytes(file.size)}`];
  if (left.value !== null && left.value > 2) parts.push(`${roughly(left.value)} left`);
  return parts.join(" · ");
}

/** What was said: the end of it while it grows, then its beginning. */
function Words({ upload }) {
  const text = upload.text.value;
  const interim = upload.interim.value;
  if (!text && !interim) return null;
  if (upload.over.value) return html`<p class="upload-words">${beginning(text)}</p>`;
  return html`<p class="upload-words">
    ${ending(text)} ${interim && html`<span class="upload-interim">${interim} …</span>`}
  </p>`;
}

function beginning(text) {
  if (text.length <= SHOWN) return text;
  return `${text.slice(0, text.lastIndexOf(" ", SHOWN))} …`;
}

function ending(text) {
  if (text.length <= SHOWN) return text;
  return `… ${text.slice(text.indexOf(" ", text.length - SHOWN) + 1)}`;
}

function Outcome({ upload }) {
  const phase = upload.phase.value;
  if (phase === "failed") return html`<${Failed} upload=${upload} />`;
  if (phase === "sent") {
    return html`<p>
      The gateway has it. Your key may not read, so what becomes of it cannot be shown here.
    </p>`;
  }
  if (phase !== "done") return null;
  const silent = !upload.text.value && !upload.remark.value;
  return html`<div class="upload-outcome">
    ${
      upload.remark.value &&
      html`<${Notice} tone="warn" title="Not all of it could be transcribed.">${upload.remark.value}<//>`
    }
    ${silent && html`<p class="hint">No words were heard in it.</p>`}
    <a
      class="button"
      href=${`/sessions/${upload.session.value}`}
      aria-label=${`Open the conversation: ${upload.file.name}`}
    >
      Open the conversation
    </a>
  </div>`;
}

function Failed({ upload }) {
  const { message, again } = upload.problem.value;
  const retry =
    again &&
    html`<button type="button" onClick=${() => uploads.again(upload)}>
      <${Icon} name="refresh" size=${16} /> Try again
    </button>`;
  return html`<div class="upload-outcome">
    <p class="upload-problem" role="alert">${message}</p>
    ${retry}
  </div>`;
}
