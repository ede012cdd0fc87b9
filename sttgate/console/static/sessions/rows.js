// The sessions, day by day. What was said is text here, never markup: each piece is a text node.

import { html } from "../vendor/preact.js";
import { clock, count, day, spoken, timeOfDay } from "../format.js";
import { Icon } from "../parts/icon.js";
import { list } from "./list.js";
import { STATES, nameOf } from "./states.js";

/** @param {{q: string, selectable: boolean}} props */
export function Rows({ q, selectable }) {
  return byDay(list.rows.value).map(
    ([title, sessions]) => html`<section key=${title} class="day" aria-label=${title}>
      <h2>${title}</h2>
      <ul class="rows">
        ${sessions.map(
          (session) => html`<${Row} key=${session.id} session=${session} q=${q} selectable=${selectable} />`,
        )}
      </ul>
    </section>`,
  );
}

function Row({ session, q, selectable }) {
  const { id, title, preview } = session;
  const selected = list.selected.value.has(id);
  const name = nameOf(session);
  return html`<li class="row-item ${selected ? "selected" : ""}">
    ${
      selectable &&
      html`<label class="pick">
        <input
          type="checkbox"
          checked=${selected}
          aria-label=${`Select: ${name}`}
          onChange=${(event) => list.select(id, event.currentTarget.checked)}
        />
      </label>`
    }
    <div class="row-main">
      <a class="row-link" href=${addressOfSession(id, q)}>
        <span class="row-title ${title || preview ? "" : "none"}">${name}</span>
      </a>
      ${title && preview && !session.hits?.length && html`<p class="row-preview">${preview}</p>`}
      ${session.hits?.length > 0 && html`<${Hits} session=${session} q=${q} />`}
      <${Facts} session=${session} />
    </div>
  </li>`;
}

function Facts({ session }) {
  const { live, state, created_at, duration, provider, language, words, recording } = session;
  return html`<p class="row-facts">
    ${live && html`<span class="badge live"><span class="dot" aria-hidden="true"></span>Live</span>`}
    ${
      !live &&
      state !== "completed" &&
      html`<span class="badge ${STATES[state]?.tone ?? ""}">${STATES[state]?.label ?? state}</span>`
    }
    <time datetime=${created_at}>${timeOfDay(created_at)}</time>
    ${
      duration !== null &&
      html`<span>
        <span aria-hidden="true">${clock(duration)}</span><span class="for-readers">${spoken(duration)}</span>
      </span>`
    }
    <span>${count(words, "word")}</span>
    ${provider && html`<span>${provider}</span>`} ${language && html`<span>${language}</span>`}
    ${!live && state !== "active" && !recording && html`<span>no recording</span>`}
  </p>`;
}

function Hits({ session, q }) {
  return html`<ul class="hits">
    ${session.hits.map(
      ({ utterance, start, snippet }) => html`<li key=${utterance}>
        <a href=${addressOfSession(session.id, q, start)} aria-label=${`At ${spoken(start)}`}>${clock(start)}</a>
        <span>
          ${snippet.map(({ text, hit }, i) => (hit ? html`<mark key=${i}>${text}</mark>` : text))}
        </span>
      </li>`,
    )}
  </ul>`;
}

/** @param {string} id @param {string} q what was looked for @param {number} [at] seconds */
function addressOfSession(id, q, at) {
  const query = new URLSearchParams();
  if (q.trim()) query.set("q", q.trim());
  if (at !== undefined) query.set("t", String(at));
  const text = query.toString();
  return `/sessions/${encodeURIComponent(id)}${text && `?${text}`}`;
}

/** In the order they are in. @returns {[string, Object[]][]} */
function byDay(sessions) {
  const days = new Map();
  for (const session of sessions) {
    const title = day(session.created_at);
    if (!days.has(title)) days.set(title, []);
    days.get(title).push(session);
  }
  return [...days];
}
