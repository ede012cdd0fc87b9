// The bar at the bottom: the waveform with its slider, the buttons, the speed.

import { html, useComputed, useEffect, useId, useRef } from "../vendor/preact.js";
import { clock, spoken } from "../format.js";
import { Icon } from "../parts/icon.js";
import { SPEEDS } from "./player.js";
import { Waveform } from "./waveform.js";

const STEP = 0.1; // seconds of the slider

/** @param {{player: import("./player.js").Player, path: string, session: any}} props */
export function PlayerBar({ player, path, session }) {
  const audio = useRef(null);
  useEffect(() => player.attach(audio.current), [player]);
  return html`<div class="dock player">
    <audio ref=${audio} preload="metadata"></audio>
    <div class="player-inner">
      <div class="player-wave">
        <${Waveform} player=${player} path=${path} marks=${session.marks} gaps=${session.gaps} />
        <${Slider} player=${player} />
      </div>
      <div class="player-row">
        <${Clock} player=${player} />
        <div class="player-buttons">
          <${Skip} player=${player} seconds=${-10} />
          <${PlayButton} player=${player} />
          <${Skip} player=${player} seconds=${10} />
        </div>
        <${Speed} player=${player} />
      </div>
    </div>
  </div>`;
}

function Slider({ player }) {
  const time = useComputed(() => Math.round(player.time.value / STEP) * STEP).value;
  return html`<input
    type="range"
    class="player-slider"
    aria-label="Position"
    min="0"
    max=${player.duration}
    step=${STEP}
    value=${time}
    aria-valuetext=${`${spoken(time)} of ${spoken(player.duration)}`}
    onInput=${(event) => player.seek(Number(event.currentTarget.value))}
  />`;
}

function Clock({ player }) {
  const time = useComputed(() => Math.floor(player.time.value)).value;
  return html`<p class="player-clock">
    <span class="for-readers">${spoken(time)} of ${spoken(player.duration)}</span>
    <span aria-hidden="true"><strong>${clock(time)}</strong> / ${clock(player.duration)}</span>
  </p>`;
}

function PlayButton({ player }) {
  const on = player.playing.value || player.waiting.value;
  const label = on ? "Pause" : "Play";
  return html`<button
    type="button"
    class="play ${player.waiting.value ? "waiting" : ""}"
    aria-label=${label}
    title=${`${label} (K)`}
    onClick=${() => (on ? player.pause() : player.play())}
  >
    <${Icon} name=${on ? "pause" : "play"} size=${26} />
  </button>`;
}

function Skip({ player, seconds }) {
  const [label, key] = seconds < 0 ? ["10 seconds back", "J"] : ["10 seconds forward", "L"];
  return html`<button
    type="button"
    class="quiet skip-by"
    aria-label=${label}
    title=${`${label} (${key})`}
    onClick=${() => player.skip(seconds)}
  >
    <span aria-hidden="true">${seconds < 0 ? "−10" : "+10"}</span>
  </button>`;
}

function Speed({ player }) {
  const id = useId();
  return html`<div class="player-speed">
    <label class="for-readers" for=${id}>Speed</label>
    <span class="select">
      <select id=${id} onChange=${(event) => player.setSpeed(Number(event.currentTarget.value))}>
        ${SPEEDS.map(
          (speed) => html`<option key=${speed} value=${speed} selected=${speed === player.speed.value}>${speed}×</option>`,
        )}
      </select>
      <${Icon} name="chevron" size=${16} />
    </span>
  </div>`;
}
