// What the session is called and what it is, in a few lines; the title can be changed.

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { clock, count, dayAndTime, spoken } from "../format.js";
import { Icon } from "../parts/icon.js";
import { list } from "../sessions/list.js";
import { STATES } from "../sessions/states.js";

/** What a session without a title is called. */
export function titleOf({ title, created_at }) {
  return title || `Conversation of ${dayAndTime(created_at)}`;
}

/** @param {{conversation: import("./conversation.js").Conversation, editable: boolean, children: any}} props */
export function Heading({ conversation, editable, children }) {
  const session = conversation.session.value;
  const [editing, edit] = useState(false);
  const pencil = useRef(null);
  const close = () => {
    edit(false);
    requestAnimationFrame(() => pencil.current?.focus());
  };
  return html`<header class="session-head">
    <p class="back"><a href=${list.address}><${Icon} name="chevron" size=${16} /> Sessions</a></p>
    ${
      editing
        ? html`<${TitleForm} conversation=${conversation} onClose=${close} />`
        : html`<div class="session-title">
            <h1 tabindex="-1">${titleOf(session)}</h1>
            ${
              editable &&
              html`<button
                ref=${pencil}
                type="button"
                class="quiet small icon-only"
                aria-label="Change the title"
                title="Change the title"
                onClick=${() => edit(true)}
              >
                <${Icon} name="pencil" size=${18} />
              </button>`
            }
          </div>`
    }
    <${Facts} session=${session} />
    <div class="session-actions">${children}</div>
  </header>`;
}

function TitleForm({ conversation, onClose }) {
  const [title, setTitle] = useState(conversation.session.value.title ?? "");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const field = useRef(null);
  useEffect(() => field.current.select(), []);
  const save = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await conversation.change({ title: title.trim() || null });
      onClose();
    } catch (error) {
      setProblem(error.message);
      setBusy(false);
    }
  };
  const onKeyDown = (event) => event.key === "Escape" && onClose();
  return html`<form class="title-form field" onSubmit=${save} onKeyDown=${onKeyDown}>
    <h1 class="for-readers" tabindex="-1">${titleOf(conversation.session.value)}</h1>
    <input
      ref=${field}
      type="text"
      aria-label="Title"
      maxlength="200"
      placeholder="No title"
      value=${title}
      onInput=${(event) => setTitle(event.currentTarget.value)}
    />
    <button type="submit" class="primary" disabled=${busy}>Save</button>
    <button type="button" class="quiet" onClick=${onClose}>Cancel</button>
    ${problem && html`<p class="field-error" role="alert">${problem}</p>`}
  </form>`;
}

function Facts({ session }) {
  const { live, state, title, created_at, duration, words, provider, language } = session;
  return html`<p class="row-facts">
    ${live && html`<span class="badge live"><span class="dot" aria-hidden="true"></span>Live</span>`}
    ${
      !live &&
      state !== "completed" &&
      html`<span class="badge ${STATES[state]?.tone ?? ""}">${STATES[state]?.label ?? state}</span>`
    }
    ${title && html`<time datetime=${created_at}>${dayAndTime(created_at)}</time>`}
    ${
      duration !== null &&
      html`<span>
        <span aria-hidden="true">${clock(duration)}</span><span class="for-readers">${spoken(duration)}</span>
      </span>`
    }
    ${!live && html`<span>${count(words, "word")}</span>`}
    ${provider && html`<span>${provider}</span>`} ${language && html`<span>${language}</span>`}
  </p>`;
}
