// The engines: which there are, who is asked first, and how they do.

import { html } from "../vendor/preact.js";
import { count, latency, roughly } from "../format.js";
import { Icon } from "../parts/icon.js";

const STATES = {
  idle: { text: "Not used yet", tone: "idle" },
  opening: { text: "Starting", tone: "busy" },
  ready: { text: "Ready", tone: "ok" },
  open_failed: { text: "Could not start", tone: "error" },
  skipped: { text: "Not set up", tone: "idle" },
};
const BREAKERS = {
  open: { text: "Out, passed over for now", tone: "error" },
  "half-open": { text: "Out, one session tries it", tone: "warn" },
};
const LATENCIES = [
  ["first_interim", "First words", "From a word to its first appearance"],
  ["final", "Final words", "From the end of a sentence to its final words"],
  ["connect", "Connecting", "How long a new stream kept the audio waiting"],
];

/** Whether sessions cannot have it now. @param {{state: string, breaker?: string|null}} provider */
export function isDown({ state, breaker }) {
  return state === "open_failed" || breaker === "open" || breaker === "half-open";
}

/** @param {{providers: Object[], chain: string[]}} props as /status or /providers has them */
export function Engines({ providers, chain }) {
  const place = ({ name }) => (chain.includes(name) ? chain.indexOf(name) : chain.length);
  const sorted = [...providers].sort((a, b) => place(a) - place(b));
  return html`<section aria-labelledby="status-engines">
    <h2 id="status-engines">Engines</h2>
    <p class="hint">
      ${
        chain.length > 1
          ? `Sessions that ask for none get ${chain[0]}; ${chain.slice(1).join(", then ")} if that is out.`
          : `Sessions that ask for none get ${chain[0]}.`
      }
    </p>
    <ul class="engines">
      ${sorted.map((provider) => html`<${Engine} key=${provider.name} provider=${provider} rank=${place(provider) + 1} />`)}
    </ul>
  </section>`;
}

function Engine({ provider, rank }) {
  const { name, plugin, in_chain: inChain, reason } = provider;
  const { text, tone } = BREAKERS[provider.breaker] ?? STATES[provider.state];
  return html`<li class="card engine">
    <div class="engine-head">
      <h3>${name}</h3>
      ${plugin && plugin !== name && html`<span class="badge">${plugin}</span>`}
      ${inChain && html`<span class="badge">${rank}<span class="for-readers"> in the chain</span></span>`}
      <p class="standing ${tone}"><span class="dot" aria-hidden="true"></span>${text}</p>
    </div>
    ${reason && html`<p class="hint">${reason}</p>`}
    <${Performance} provider=${provider} />
    <${LastError} provider=${provider} />
  </li>`;
}

function Performance({ provider }) {
  const { sessions, errors } = provider;
  if (sessions === undefined) return null; // not told to everybody
  const measured = LATENCIES.filter(([key]) => provider[key]);
  const failed = Object.values(errors).reduce((sum, n) => sum + n, 0);
  if (sessions === 0 && failed === 0 && measured.length === 0) return null;
  return html`<dl class="engine-figures">
    <div><dt>Sessions now</dt><dd>${sessions}</dd></div>
    ${measured.map(
      ([key, label, title]) => html`<div key=${key} title=${title}>
        <dt>${label}</dt>
        <dd>
          ${latency(provider[key].p50)}
          <span class="engine-slow">95 % within ${latency(provider[key].p95)}</span>
        </dd>
      </div>`,
    )}
    ${
      failed > 0 &&
      html`<div>
        <dt>Streams that failed</dt>
        <dd>
          ${failed.toLocaleString("en")}
          <span class="engine-slow">${Object.entries(errors).map(kind).join(", ")}</span>
        </dd>
      </div>`
    }
  </dl>`;
}

/** ["provider_timeout", 3] -> "3 timeout" */
function kind([code, n]) {
  return `${n} ${code.replace(/^provider_/, "").replaceAll("_", " ")}`;
}

function LastError({ provider }) {
  const error = provider.last_error;
  if (!error) return null;
  const ago = (Date.now() - Date.parse(error.at)) / 1000;
  return html`<p class="engine-error">
    <${Icon} name="alert" size=${16} />
    <span>${error.message} <time datetime=${error.at}>${ago < 5 ? "Just now" : `${roughly(ago)} ago`}</time></span>
  </p>`;
}
