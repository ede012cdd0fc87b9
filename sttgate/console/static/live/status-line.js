// One line that says how it stands: for the eye, and as it changes for the ear.

import { html } from "../vendor/preact.js";
import { seconds } from "../format.js";
import { Icon } from "../parts/icon.js";
import { recorder } from "./recorder.js";

const SIZES = 5;

/** How it stands, in a few words and a colour. @returns {{text: string, tone: string}} */
function standing() {
  const phase = recorder.phase.value;
  const link = recorder.uplink.value?.state.value;
  switch (phase) {
    case "asking":
      return { text: "Waiting for the microphone", tone: "busy" };
    case "connecting":
      return link === "down"
        ? { text: "Looking for the gateway", tone: "warn" }
        : { text: "Connecting", tone: "busy" };
    case "live":
      if (link === "down") return { text: "Connection lost, recording goes on", tone: "warn" };
      if (recorder.engine.value.state === "recovering") {
        return { text: "Engine reconnecting, recording goes on", tone: "warn" };
      }
      if (recorder.engine.value.state === "out") {
        return { text: "No engine answers, recording goes on", tone: "error" };
      }
      return { text: "Listening", tone: "live" };
    case "stopping":
      return { text: "Saving", tone: "busy" };
    case "saved":
      return { text: "Saved", tone: "ok" };
    case "failed":
      return { text: "Not recording", tone: "error" };
  }
  return { text: "Ready", tone: "idle" };
}

/** @param {{textSize: import("../vendor/preact.js").Signal<number>}} props */
export function StatusLine({ textSize }) {
  const { text, tone } = standing();
  return html`<div class="status-line">
    <p role="status" class="standing ${tone}"><span class="dot" aria-hidden="true"></span>${text}</p>
    <${Badges} />
    <div class="segments" role="group" aria-label="Text size">
      <button
        type="button"
        class="smaller"
        aria-label="Smaller text"
        disabled=${textSize.value <= 0}
        onClick=${() => (textSize.value = Math.max(0, textSize.value - 1))}
      >
        A
      </button>
      <button
        type="button"
        class="larger"
        aria-label="Larger text"
        disabled=${textSize.value >= SIZES - 1}
        onClick=${() => (textSize.value = Math.min(SIZES - 1, textSize.value + 1))}
      >
        A
      </button>
    </div>
  </div>`;
}

function Badges() {
  const { name, state } = recorder.engine.value;
  const latency = recorder.latency.value;
  const shown = recorder.busy.value && state === "ready";
  return html`<p class="badges">
    ${name && html`<span class="badge" title="Engine">${name}</span>`}
    ${
      shown &&
      latency !== null &&
      html`<span class="badge ${latency > 3 ? "slow" : ""}" title="From a sound to its word">
        <${Icon} name="gauge" size=${14} /><span class="for-readers">Delay </span>${seconds(latency)}
      </span>`
    }
  </p>`;
}
