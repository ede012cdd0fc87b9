// The bar at the bottom: record, stop, mark, time and level.

import { html, useEffect, useRef } from "../vendor/preact.js";
import { clock, spoken } from "../format.js";
import { Icon } from "../parts/icon.js";
import { obstacle } from "./microphone.js";
import { drawLevels, loudness } from "./meter.js";
import { recorder } from "./recorder.js";

export function Dock() {
  return html`<div class="dock">
    <div class="dock-inner">
      <div class="dock-side">
        <${Timer} />
        <${Meter} />
      </div>
      <${RecordButton} />
      <div class="dock-side end">
        <button
          type="button"
          class="mark"
          aria-keyshortcuts="Alt+M"
          title="Mark this moment (Alt+M)"
          disabled=${!recorder.recording.value}
          onClick=${() => recorder.mark()}
        >
          <${Icon} name="flag" size=${18} /> <span>Mark</span>
        </button>
      </div>
    </div>
  </div>`;
}

function RecordButton() {
  const recording = recorder.recording.value;
  const busy = recorder.busy.value && !recording;
  const label = recording ? "Stop" : busy ? "One moment" : "Record";
  return html`<button
    type="button"
    class="record ${recording ? "on" : ""}"
    aria-keyshortcuts="Alt+R"
    title="${label} (Alt+R)"
    disabled=${busy || (!recording && obstacle() !== "")}
    onClick=${() => recorder.toggle()}
  >
    <span class="record-shape" aria-hidden="true"></span>
    <span class="record-label">${label}</span>
  </button>`;
}

function Timer() {
  const time = Math.floor(recorder.captured.value);
  return html`<p class="timer" role="timer" aria-label=${`Recorded: ${spoken(time)}`}>
    <span aria-hidden="true">${clock(time)}</span>
  </p>`;
}

function Meter() {
  const canvas = useRef(null);
  const levels = recorder.levels.value;
  const recording = recorder.recording.value;
  useEffect(() => drawLevels(canvas.current, recording ? levels : []), [levels, recording]);
  const level = recording ? Math.round(100 * loudness(levels.at(-1) ?? 0)) : 0;
  return html`<div
    class="meter"
    role="meter"
    aria-label="Microphone level"
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${level}
    aria-valuetext=${`${level} percent`}
  >
    <canvas ref=${canvas} width="240" height="56"></canvas>
  </div>`;
}
