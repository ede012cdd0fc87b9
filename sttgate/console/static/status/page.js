// The status page, for those who run the gateway: what it does, and what is the matter.

import { html } from "../vendor/preact.js";
import { access } from "../access.js";
import { get } from "../api.js";
import { Icon } from "../parts/icon.js";
import { Notice, Skeleton } from "../parts/notice.js";
import { Engines } from "./engines.js";
import { Figures } from "./figures.js";
import { Limits, Plugins, Stores } from "./lists.js";
import { usePoll } from "./poll.js";
import { judge } from "./verdict.js";

const INTERVAL = 5000; // milliseconds

export function StatusPage() {
  if (!access.may("read") && !access.may("admin")) {
    return html`<h1 class="for-readers" tabindex="-1">Status</h1>
      <${Notice} tone="warn" icon="key" title="Your key may not see the status.">
        Ask who runs this gateway for a key with the scope "admin", or "read" for the engines alone.
      <//>`;
  }
  return access.may("admin") ? html`<${Whole} />` : html`<${EnginesAlone} />`;
}

async function loadStatus(signal) {
  const status = await get("/status", { signal });
  if (access.state.value === "unreachable") access.check(); // it is there again
  return status;
}

const loadProviders = (signal) => get("/providers", { signal });

function Whole() {
  const { data, at, error, refresh } = usePoll(loadStatus, INTERVAL);
  const verdict = error ? { tone: "error", text: "No answer", notices: [] } : judge(data);
  return html`<div class="status-page">
    <${Head} verdict=${verdict} at=${at} refresh=${refresh} />
    <${Unanswered} error=${error} at=${at} />
    ${verdict.notices.length > 0 && html`<${Notices} notices=${verdict.notices} />`}
    ${data ? html`<${Everything} status=${data} />` : !error && html`<${Loading} />`}
  </div>`;
}

function Everything({ status }) {
  return html`<div class="status-body">
    <${Figures} status=${status} />
    <${Engines} providers=${status.providers} chain=${status.chain} />
    <div class="status-columns">
      <div class="status-column">
        <${Stores} status=${status} />
        <${Plugins} plugins=${status.plugins} />
      </div>
      <${Limits} status=${status} />
    </div>
  </div>`;
}

/** What those see who do not run the gateway. */
function EnginesAlone() {
  const { data, at, error, refresh } = usePoll(loadProviders, INTERVAL);
  const verdict = error ? { tone: "error", text: "No answer" } : { tone: "idle", text: "" };
  return html`<div class="status-page">
    <${Head} verdict=${verdict} at=${at} refresh=${refresh} />
    <${Notice} tone="info" icon="key" title="Your key may see the engines alone.">
      Figures, stores and limits are for keys with the scope "admin".
    <//>
    <${Unanswered} error=${error} at=${at} />
    ${
      data
        ? html`<${Engines} providers=${data.providers} chain=${data.chain} />`
        : !error && html`<${Loading} />`
    }
  </div>`;
}

function Head({ verdict, at, refresh }) {
  return html`<div class="status-head">
    <h1 tabindex="-1">Status</h1>
    <p role="status" class="standing ${verdict.tone}">
      ${verdict.text && html`<span class="dot" aria-hidden="true"></span>${verdict.text}`}
    </p>
    <div class="status-at">
      ${at && html`<span class="wide-only">as of</span> <time>${at.toLocaleTimeString("en-GB")}</time>`}
      <button type="button" class="quiet small" aria-label="Ask now" title="Ask now" onClick=${refresh}>
        <${Icon} name="refresh" size=${18} />
      </button>
    </div>
  </div>`;
}

function Unanswered({ error, at }) {
  if (!error) return null;
  const text = at
    ? "What is shown is what it said last. It is asked again every few seconds."
    : "It is asked again every few seconds.";
  return html`<div role="alert">
    <${Notice} tone="error" icon=${error.status === 0 ? "plug" : "alert"} title=${error.message}>
      ${text}
    <//>
  </div>`;
}

function Notices({ notices }) {
  return html`<div class="notices">
    ${notices.map(
      ({ tone, icon, title, text }) => html`<${Notice} key=${title} tone=${tone} icon=${icon} title=${title}>
        ${text}
      <//>`,
    )}
  </div>`;
}

function Loading() {
  return html`<p class="for-readers" role="status">The gateway is asked.</p>
    <${Skeleton} lines=${9} />`;
}
