// The figures at a glance.

import { html, useRef } from "../vendor/preact.js";
import { bytes, count, latency, roughly, seconds } from "../format.js";

const REMEMBERED = 120; // answers

/** @param {{status: Object}} props */
export function Figures({ status }) {
  const { sessions, uploads, spool, loop_lag: lag } = status;
  const history = useHistory(sessions.live, status);
  const ended = Object.values(sessions.ended).reduce((sum, n) => sum + n, 0);
  const refused = Object.values(sessions.rejected).reduce((sum, n) => sum + n, 0);
  return html`<section aria-labelledby="status-figures">
    <h2 id="status-figures" class="for-readers">Figures</h2>
    <dl class="tiles">
      <${Tile} name="Sessions now" value=${sessions.live.toLocaleString("en")}
        note=${sessions.max === null ? "no limit" : `of ${sessions.max.toLocaleString("en")}`}>
        <${Sparkline} values=${history} />
      <//>
      <${Tile} name="Not final yet" value=${seconds(sessions.backlog_s)} note="of audio" />
      <${Tile} name="Files" value=${`${uploads.running} of ${uploads.at_once}`}
        note=${uploads.full ? "full" : `${uploads.waiting} waiting`} bad=${uploads.full} />
      <${Tile} name="Free for audio" value=${spool.free_bytes === null ? "unknown" : bytes(spool.free_bytes)}
        note=${`${bytes(spool.bytes)} in use`} bad=${spool.free_bytes === null} />
      <${Tile} name="Loop lag" value=${lag ? latency(lag.p50) : "–"}
        note=${lag ? `95 % within ${latency(lag.p95)}` : "not measured yet"} />
      <${Tile} name="Fail-overs" value=${status.switches.toLocaleString("en")} note="streams replaced" />
      <${Tile} name="Sessions ended" value=${ended.toLocaleString("en")} note=${listed(sessions.ended)} />
      <${Tile} name="Refused" value=${refused.toLocaleString("en")} note=${listed(sessions.rejected)} />
      <${Tile} name="Audio received" value=${roughly(sessions.audio_s)}
        note=${sessions.resumed > 0 ? `${count(sessions.resumed, "connection")} resumed` : ""} />
      <${Tile} name="Up for" value=${roughly(status.uptime_s)} note=${`version ${status.version}`} />
    </dl>
    <p class="hint">Counts and lag are those since the start.</p>
  </section>`;
}

function Tile({ name, value, note, bad, children }) {
  return html`<div class="tile ${bad ? "bad" : ""}">
    <dt>${name}</dt>
    <dd>
      <span class="tile-value">${value}</span>
      ${note && html`<span class="tile-note">${note}</span>`}
    </dd>
    ${children}
  </div>`;
}

/** {completed: 3, failed: 1} -> "3 completed, 1 failed" */
function listed(counts) {
  return Object.entries(counts)
    .filter(([, n]) => n > 0)
    .map(([name, n]) => `${n.toLocaleString("en")} ${name.replaceAll("_", " ")}`)
    .join(", ");
}

/** What a figure was, while this page has been open. */
function useHistory(value, answer) {
  const seen = useRef({ answer: null, values: [] });
  if (seen.current.answer !== answer) {
    seen.current = { answer, values: [...seen.current.values, value].slice(-REMEMBERED) };
  }
  return seen.current.values;
}

function Sparkline({ values }) {
  if (values.length < 2) return null;
  const most = Math.max(1, ...values);
  const at = (value, i) => `${(100 * i) / (values.length - 1)},${23 - (18 * value) / most}`;
  return html`<svg class="sparkline" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">
    <polyline points=${values.map(at).join(" ")} vector-effect="non-scaling-stroke" />
  </svg>`;
}
