// What to look for: the text, and behind a button what else narrows it down. The address has it all.

import { html, useEffect, useId, useRef, useState } from "../vendor/preact.js";
import { get } from "../api.js";
import { Select, TextField } from "../parts/fields.js";
import { Icon } from "../parts/icon.js";
import { navigate } from "../router.js";
import { addressOf, narrowed, pairOf } from "./filters.js";
import { STATES } from "./states.js";

const PAUSE = 200; // milliseconds without a key until the words are looked for

/** @param {{filters: import("./filters.js").Filters}} props */
export function SearchBar({ filters }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const change = (changes) => navigate(addressOf({ ...filters, ...changes }), { replace: true });
  const chips = chipsOf(filters);
  return html`<search class="search-bar">
    <div class="search-row">
      <${SearchField} q=${filters.q} onChange=${(q) => change({ q })} />
      <button
        type="button"
        aria-expanded=${open ? "true" : "false"}
        aria-controls=${id}
        onClick=${() => setOpen(!open)}
      >
        <${Icon} name="sliders" size=${18} /> <span>Filters</span>
        ${chips.length > 0 && html`<span class="count-badge">${chips.length}</span>`}
      </button>
    </div>
    <div id=${id} hidden=${!open}>
      ${open && html`<${FilterPanel} filters=${filters} change=${change} />`}
    </div>
    ${
      narrowed(filters) &&
      html`<ul class="chips" aria-label="Filters that are on">
        ${chips.map(
          ({ label, without }) => html`<li key=${label}>
            <button type="button" class="filter-chip" aria-label=${`Remove: ${label}`} onClick=${() => change(without)}>
              <span>${label}</span> <${Icon} name="close" size=${14} />
            </button>
          </li>`,
        )}
        ${
          chips.length > 1 &&
          html`<li>
            <button type="button" class="quiet small" onClick=${() => navigate(addressOf({ q: filters.q }), { replace: true })}>
              Remove all
            </button>
          </li>`
        }
      </ul>`
    }
  </search>`;
}

function SearchField({ q, onChange }) {
  const [text, setText] = useState(q);
  const told = useRef(q);
  const timer = useRef(0);
  const field = useRef(null);
  useEffect(() => {
    if (q === told.current) return; // it is what was typed here
    told.current = q;
    clearTimeout(timer.current);
    setText(q);
  }, [q]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const tell = (value) => {
    clearTimeout(timer.current);
    told.current = value;
    onChange(value);
  };
  const onInput = (event) => {
    const { value } = event.currentTarget;
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(tell, PAUSE, value);
  };
  const submit = (event) => {
    event.preventDefault();
    tell(text);
  };
  const clear = () => {
    setText("");
    tell("");
    field.current.focus();
  };
  return html`<form class="search-field" role="presentation" onSubmit=${submit}>
    <${Icon} name="search" size=${18} />
    <input
      ref=${field}
      type="search"
      aria-label="Search what was said"
      placeholder="Search what was said"
      maxlength="1000"
      autocomplete="off"
      spellcheck=${false}
      value=${text}
      onInput=${onInput}
    />
    ${
      text &&
      html`<button type="button" class="quiet small icon-only" aria-label="Clear the search" onClick=${clear}>
        <${Icon} name="close" size=${16} />
      </button>`
    }
  </form>`;
}

function FilterPanel({ filters, change }) {
  const providers = useProviders(filters.provider);
  return html`<div class="filter-panel card">
    <${TextField}
      label="From"
      type="date"
      max=${filters.to || undefined}
      value=${filters.from}
      onInput=${(from) => change({ from })}
    />
    <${TextField}
      label="Until"
      type="date"
      min=${filters.from || undefined}
      value=${filters.to}
      onInput=${(to) => change({ to })}
    />
    <${Select}
      label="Engine"
      value=${filters.provider}
      options=${[{ value: "", label: "Any" }, ...providers.map((name) => ({ value: name, label: name }))]}
      onChange=${(provider) => change({ provider })}
    />
    <${Select}
      label="State"
      value=${filters.state}
      options=${[
        { value: "", label: "Any" },
        ...Object.entries(STATES).map(([value, { label }]) => ({ value, label })),
      ]}
      onChange=${(state) => change({ state })}
    />
    <${Committed}
      label="Language"
      placeholder="en"
      maxlength="35"
      value=${filters.language}
      hint="As it is stored: en is not en-GB."
      onCommit=${(language) => change({ language })}
    />
    <${MetadataField} filters=${filters} change=${change} />
  </div>`;
}

/** A field whose value counts once it is left, or Enter is pressed. */
function Committed({ value, onCommit, ...rest }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const commit = () => text.trim() !== value && onCommit(text.trim());
  return html`<form role="presentation" onSubmit=${(event) => (event.preventDefault(), commit())}>
    <${TextField} ...${rest} spellcheck=${false} value=${text} onInput=${setText} onBlur=${commit} />
  </form>`;
}

function MetadataField({ filters, change }) {
  const [text, setText] = useState("");
  const [error, setError] = useState("");
  const add = () => {
    if (!text.trim()) return setError("");
    const pair = pairOf(text);
    if (!pair) return setError("Write it like room=7.");
    setText("");
    setError("");
    const others = filters.metadata.filter(([key]) => key !== pair[0]);
    change({ metadata: [...others, pair] });
  };
  return html`<form role="presentation" onSubmit=${(event) => (event.preventDefault(), add())}>
    <${TextField}
      label="Metadata"
      placeholder="room=7"
      maxlength="300"
      spellcheck=${false}
      hint="A text that a client stored with it."
      error=${error}
      value=${text}
      onInput=${setText}
      onBlur=${add}
    />
  </form>`;
}

/** The names of the engines that are configured, and the one that is looked for. */
function useProviders(wanted) {
  const [names, setNames] = useState(/** @type {string[]} */ ([]));
  useEffect(() => {
    get("/providers")
      .then(({ providers }) => setNames(providers.map(({ name }) => name)))
      .catch(() => {}); // then there is less to choose from; the list says what is the matter
  }, []);
  return wanted && !names.includes(wanted) ? [...names, wanted] : names;
}

/** @param {import("./filters.js").Filters} filters */
function chipsOf(filters) {
  const { from, to, provider, language, state, metadata } = filters;
  const chips = [
    from && { label: `From ${from}`, without: { from: "" } },
    to && { label: `Until ${to}`, without: { to: "" } },
    provider && { label: `Engine: ${provider}`, without: { provider: "" } },
    language && { label: `Language: ${language}`, without: { language: "" } },
    state && { label: `State: ${STATES[state]?.label ?? state}`, without: { state: "" } },
    ...metadata.map((pair) => ({
      label: `${pair[0]} = ${pair[1]}`,
      without: { metadata: metadata.filter((other) => other !== pair) },
    })),
  ];
  return chips.filter(Boolean);
}
