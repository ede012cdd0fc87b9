// The sessions page: what was said before, found again.

import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { access } from "../access.js";
import { count } from "../format.js";
import { Icon } from "../parts/icon.js";
import { Empty, Notice, Skeleton } from "../parts/notice.js";
import { navigate } from "../router.js";
import { addressOf, narrowed, readFilters } from "./filters.js";
import { list } from "./list.js";
import { Rows } from "./rows.js";
import { SearchBar } from "./search-bar.js";
import { SelectionBar } from "./selection-bar.js";

const LOOK_AGAIN = 10_000; // milliseconds
const AHEAD = "800px"; // from its end the list grows

/** @param {{query: URLSearchParams}} props */
export function SessionsPage({ query }) {
  const filters = useMemo(() => readFilters(query), [query.toString()]);
  const [problem, setProblem] = useState("");
  const allowed = access.may("read");
  useEffect(() => {
    if (allowed) list.show(filters);
  }, [filters, allowed]);
  useEffect(() => () => (list.said.value = ""), []);
  useLookingAgain(allowed);
  if (!allowed) return html`<${NotAllowed} />`;
  return html`<div class="sessions-page">
    <div class="page-head">
      <h1 tabindex="-1">Sessions</h1>
      <p role="status" class="found">${found(filters)}</p>
    </div>
    <${SearchBar} filters=${filters} />
    <div class="notices">
      <div role="alert">
        ${list.problem.value && list.phase.value !== "failed" && html`<${Trouble} error=${list.problem.value} />`}
        ${problem && html`<${Notice} tone="error" title=${problem} />`}
      </div>
      <div role="status">${list.said.value && html`<${Notice} tone="ok" title=${list.said.value} />`}</div>
    </div>
    <${Content} filters=${filters} />
    <${SelectionBar} onProblem=${setProblem} />
  </div>`;
}

function Content({ filters }) {
  switch (list.phase.value) {
    case "loading":
      return html`<${Skeleton} lines=${9} />`;
    case "failed":
      return html`<${Failed} error=${list.problem.value} />`;
  }
  if (list.rows.value.length === 0) {
    return filters.q.trim() || narrowed(filters) ? html`<${NoMatch} filters=${filters} />` : html`<${None} />`;
  }
  return html`<div class="list" aria-busy=${list.outdated.value ? "true" : "false"}>
      <${Rows} q=${filters.q} selectable=${true} />
    </div>
    <${More} />`;
}

/** What there is, in a few words. */
function found(filters) {
  const { length } = list.rows.value;
  if (list.phase.value !== "ready") return "";
  const what = filters.q.trim() || narrowed(filters) ? "found" : "shown";
  if (length === 0) return what === "found" ? "Nothing found" : "";
  return `${list.hasMore.value ? "The latest " : ""}${count(length, "conversation")} ${what}`;
}

/** Fetches the next page when the end comes near, or somebody asks for it. */
function More() {
  const end = useRef(null);
  const wanted = list.hasMore.value && !list.problem.value;
  useEffect(() => {
    if (!wanted) return;
    const watcher = new IntersectionObserver(
      ([entry]) => entry.isIntersecting && list.more(),
      { rootMargin: AHEAD },
    );
    watcher.observe(end.current);
    return () => watcher.disconnect();
  }, [wanted, list.rows.value]); // anew for each page: a short one may not reach the end
  if (!list.hasMore.value) return null;
  return html`<div class="more" ref=${end}>
    <button type="button" disabled=${list.busy.value} onClick=${() => list.more()}>
      ${list.busy.value ? "Fetching …" : "Show more"}
    </button>
  </div>`;
}

function None() {
  const actions = html`<a class="button primary" href="/"><${Icon} name="mic" size=${18} /> Record one</a>`;
  return html`<${Empty} icon="wave" title="No conversations yet." actions=${actions}>
    What is recorded here, or sent by a client, is kept with its words and can be found again.
  <//>`;
}

function NoMatch({ filters }) {
  const q = filters.q.trim();
  const actions = html`${
      narrowed(filters) &&
      html`<button type="button" onClick=${() => navigate(addressOf({ q }), { replace: true })}>
        Search without filters
      </button>`
    }
    <button type="button" onClick=${() => navigate(addressOf({}), { replace: true })}>Show all</button>`;
  return html`<${Empty} icon="search" title=${q ? `Nothing found for “${q}”.` : "Nothing found."} actions=${actions}>
    ${q && "A search finds conversations in which all the words fall between two pauses. Words in double quotes stand next to each other."}
  <//>`;
}

function Failed({ error }) {
  // An address that somebody wrote may ask for what there cannot be: again would be in vain.
  const actions =
    error.status === 400
      ? html`<button type="button" onClick=${() => navigate(addressOf({}), { replace: true })}>Show all</button>`
      : again();
  return html`<div role="alert">
    <${Empty} icon=${error.status === 0 ? "plug" : "alert"} title=${titleOf(error)} actions=${actions}>
      ${error.status === 0 ? "It may be starting, or the network is gone." : error.message}
    <//>
  </div>`;
}

/** The list is there, but could not be looked at again, or not be continued. */
function Trouble({ error }) {
  return html`<${Notice}
    tone="warn"
    icon=${error.status === 0 ? "plug" : "alert"}
    title=${titleOf(error)}
    actions=${again()}
  >
    ${error.status === 0 ? "What you see may be out of date." : error.message}
  <//>`;
}

function again() {
  return html`<button type="button" onClick=${() => list.refresh()}>
    <${Icon} name="refresh" size=${16} /> Try again
  </button>`;
}

function titleOf({ status }) {
  if (status === 0) return navigator.onLine ? "The gateway does not answer." : "You are offline.";
  return status === 403 ? "Your key may not see this." : "The conversations could not be fetched.";
}

function NotAllowed() {
  return html`<h1 tabindex="-1">Sessions</h1>
    <${Notice} tone="warn" icon="key" title="Your key may not read conversations.">
      Ask who runs this gateway for a key with the scope "read".
    <//>`;
}

/** Looks again now and then, and when somebody comes back to the page. */
function useLookingAgain(allowed) {
  useEffect(() => {
    if (!allowed) return;
    const look = () => document.visibilityState === "visible" && list.refresh();
    const timer = setInterval(() => list.busy.value || look(), LOOK_AGAIN);
    addEventListener("online", look);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      removeEventListener("online", look);
      document.removeEventListener("visibilitychange", look);
    };
  }, [allowed]);
}
