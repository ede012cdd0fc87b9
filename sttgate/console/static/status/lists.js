// Stores, limits and plugins.

import { html } from "../vendor/preact.js";
import { roughly } from "../format.js";

const STORES = [
  ["spool", "Spool", "running sessions"],
  ["transcripts", "Transcripts", "words"],
  ["recordings", "Recordings", "audio"],
];

/** @param {{status: Object}} props */
export function Stores({ status }) {
  return html`<section aria-labelledby="status-stores">
    <h2 id="status-stores">Stores</h2>
    <dl class="card pairs">
      ${STORES.map(([key, name, what]) => {
        const good = status.stores[key] === "ok";
        return html`<div key=${key}>
          <dt>${name} <span class="tile-note">${what}</span></dt>
          <dd>
            <span class="standing ${good ? "ok" : "error"}">
              <span class="dot" aria-hidden="true"></span>${good ? "Can be written" : "Cannot be written"}
            </span>
          </dd>
        </div>`;
      })}
    </dl>
  </section>`;
}

/** @param {{status: Object}} props */
export function Limits({ status }) {
  const { limits, sessions, uploads } = status;
  const rows = [
    ["Sessions", number(sessions.max)],
    ["… of one key", number(limits.sessions_per_key)],
    ["… from one address", number(limits.sessions_per_address)],
    ["Connections a minute", number(limits.connects_per_minute)],
    ["Session without audio", lasting(limits.idle_s)],
    ["Longest session", lasting(limits.max_session_s)],
    ["Speed of audio", limits.max_speed === null ? null : `${limits.max_speed} × real time`],
    ["Size of a file", `${Math.round(uploads.max_bytes / 1024 ** 2).toLocaleString("en")} MiB`],
    ["Length of a file", lasting(uploads.max_seconds)],
  ];
  return html`<section aria-labelledby="status-limits">
    <h2 id="status-limits">Limits</h2>
    <dl class="card pairs">
      ${rows.map(
        ([name, value]) => html`<div key=${name}>
          <dt>${name}</dt>
          <dd>${value ?? html`<span class="tile-note">none</span>`}</dd>
        </div>`,
      )}
    </dl>
  </section>`;
}

function number(value) {
  return value === null ? null : value.toLocaleString("en");
}

function lasting(value) {
  return value === null ? null : roughly(value);
}

const PLUGINS = {
  loaded: { text: "Loaded", tone: "ok" },
  disabled: { text: "Switched off", tone: "idle" },
  broken: { text: "Broken", tone: "error" },
};

/** @param {{plugins: Object[]}} props */
export function Plugins({ plugins }) {
  return html`<section aria-labelledby="status-plugins">
    <h2 id="status-plugins">Plugins</h2>
    <dl class="card pairs">
      ${plugins.map(({ name, distribution, version, state }) => {
        const { text, tone } = PLUGINS[state];
        const from = [distribution ?? "a file", version].filter(Boolean).join(" ");
        return html`<div key=${name}>
          <dt>${name} <span class="tile-note">${from}</span></dt>
          <dd>
            <span class="standing ${tone}"><span class="dot" aria-hidden="true"></span>${text}</span>
          </dd>
        </div>`;
      })}
    </dl>
  </section>`;
}
