// What is the matter, and what to do. Failures are alerts; numbers that change stay out of them, or a
// screen reader would say them again and again.

import { html } from "../vendor/preact.js";
import { access } from "../access.js";
import { clock, count, seconds } from "../format.js";
import { Icon } from "../parts/icon.js";
import { Notice } from "../parts/notice.js";
import { obstacle } from "./microphone.js";
import { recorder } from "./recorder.js";

export function Notices() {
  const problem = recorder.problem.value ?? standingObstacle();
  const alert = problem ? html`<${ProblemNotice} ...${problem} />` : html`<${EngineOut} />`;
  return html`<div class="notices">
    <div role="alert">${alert}</div>
    <${LinkDown} />
    <${Recovering} />
    <${Silent} />
    <${GoesAway} />
    <${Lost} />
    <${Rest} />
    <${Saved} />
    <${Warning} />
  </div>`;
}

/** What stands in the way before anything was tried. */
function standingObstacle() {
  const code = recorder.phase.value === "idle" && obstacle();
  return code ? { code, message: "" } : null;
}

const PROBLEMS = {
  insecure: {
    icon: "micOff",
    title: "The microphone needs a secure page.",
    text: () => `Browsers give it to pages with https and to localhost only, not to
      ${location.origin}. Ask who runs this gateway to put it behind https.`,
  },
  unsupported: {
    icon: "micOff",
    title: "This browser cannot record.",
    text: () => "It lacks AudioWorklet. Firefox, Chromium, Edge and Safari have had it since 2021.",
  },
  denied: {
    icon: "micOff",
    title: "The microphone is blocked for this page.",
    text: () => `Allow it: press the icon at the left of the address, set Microphone to "Allow", and
      record again. If there is no such choice, look at the privacy settings of your system.`,
  },
  missing: {
    icon: "micOff",
    title: "There is no microphone.",
    text: () => "Plug one in, or switch it on in the settings of your system. Then record again.",
  },
  busy: {
    icon: "mic",
    title: "The microphone cannot be used.",
    text: () => "Another program may have it. Close that, or choose another microphone.",
  },
  broken: {
    icon: "micOff",
    title: "The microphone does not work.",
    text: () => "Reload the page, or try another microphone.",
  },
  undelivered: {
    icon: "plug",
    title: "The recording did not reach the gateway.",
    text: () => "Nothing of it is stored there.",
  },
};

function ProblemNotice({ code, message }) {
  const { icon, title, text } = PROBLEMS[code] ?? {
    icon: "alert",
    title: "The gateway did not take the recording.",
    text: () => message,
  };
  return html`<${Notice} tone="error" icon=${icon} title=${title}>${text()}<//>`;
}

function EngineOut() {
  const { state, message } = recorder.engine.value;
  if (state !== "out" || !recorder.busy.value) return null;
  return html`<${Notice} tone="error" icon="plug" title=${message}>
    Your voice is being recorded. The engines are tried again, and what they missed is heard later.
  <//>`;
}

function LinkDown() {
  const uplink = recorder.uplink.value;
  if (!uplink || !recorder.busy.value || uplink.state.value !== "down") return null;
  const waiting = uplink.behind.value;
  const actions = html`<button type="button" onClick=${uplink.retry}>
      <${Icon} name="refresh" size=${16} /> Try now
    </button>
    ${
      recorder.phase.value === "stopping" &&
      html`<button type="button" class="quiet" onClick=${() => recorder.giveUp()}>Give up</button>`
    }`;
  return html`<${Notice}
    tone="warn"
    icon="plug"
    title="The gateway does not answer. It is tried again."
    actions=${actions}
  >
    Nothing is lost: this tab keeps up to 60 s. ${" "}
    <strong aria-hidden="true" data-test="buffered">${seconds(waiting)} are waiting.</strong>
  <//>`;
}

function Recovering() {
  const { state, name } = recorder.engine.value;
  if (state !== "recovering" || !recorder.busy.value) return null;
  const lost = recorder.unheard.value;
  return html`<${Notice} tone="warn" icon="refresh" title="The engine broke off and is replaced by ${name}.">
    ${lost > 0 ? `${seconds(lost)} were recorded, but not heard.` : "No word is lost: it hears again what it missed."}
    ${" "}
    <span aria-hidden="true">${seconds(recorder.unsettled.value)} to catch up.</span>
  <//>`;
}

function Silent() {
  if (!recorder.silent.value || !recorder.recording.value) return null;
  return html`<div role="status">
    <${Notice} tone="warn" icon="micOff" title="We hear nothing.">
      Is the microphone muted? Is it the right one? You can choose it under "Microphone and engine".
    <//>
  </div>`;
}

function GoesAway() {
  const left = recorder.goesAway.value;
  if (left === null || !recorder.recording.value) return null;
  return html`<div role="status">
    <${Notice} tone="info" icon="clock" title="The gateway is about to restart.">
      It asks recordings to finish within ${seconds(left)}. If you go on, the rest becomes a second
      session.
    <//>
  </div>`;
}

function Lost() {
  const lost = recorder.uplink.value?.lost.value ?? 0;
  if (lost === 0) return null;
  return html`<${Notice} tone="error" title="${seconds(lost)} of the recording are lost.">
    The gateway was gone for longer than this tab can keep.
  <//>`;
}

function Rest() {
  const rest = recorder.rest.value;
  if (!rest) return null;
  const actions = html`<button type="button" onClick=${() => download(rest)}>
    <${Icon} name="download" size=${16} /> Save it as a file
  </button>`;
  return html`<${Notice}
    tone="warn"
    icon="download"
    title="The end of the recording is still here."
    actions=${actions}
  >
    The gateway did not get it. It is gone when you record again, or close this tab.
  <//>`;
}

function download(blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "recording.wav";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function Saved() {
  const parts = recorder.parts.value;
  if (recorder.busy.value || parts.length === 0) return null;
  const last = parts.at(-1).stopped;
  const words = parts.reduce((sum, { stopped }) => sum + (stopped?.words ?? 0), 0);
  const late = last && !last.stored.transcript;
  const actions = parts.map(
    ({ id }, i) => html`<a key=${id} class="button primary" href=${`/sessions/${id}`}>
      ${parts.length === 1 ? "Open the conversation" : `Open part ${i + 1}`}
    </a>`,
  );
  const title = parts.length === 1 ? "Saved." : `Saved in ${count(parts.length, "part")}.`;
  return html`<${Notice} tone="ok" title=${title} actions=${actions}>
    ${count(words, "word")}, ${clock(recorder.captured.value)}.
    ${late && " The store does not answer at the moment; it is stored as soon as it does."}
    ${parts.length > 1 && " At the seam a word may stand in both."}
  <//>`;
}

function Warning() {
  const text = recorder.warning.value;
  if (!text || access.state.value === "out") return null;
  const dismiss = html`<button
    type="button"
    class="quiet"
    onClick=${() => (recorder.warning.value = "")}
  >
    Dismiss
  </button>`;
  return html`<div role="status">
    <${Notice} tone="info" icon="alert" title=${text} actions=${dismiss} />
  </div>`;
}
