// The session page: one conversation, to be heard, read, named, exported and deleted.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { access } from "../access.js";
import { request } from "../api.js";
import { Icon } from "../parts/icon.js";
import { Menu } from "../parts/menu.js";
import { Empty, Notice, Skeleton } from "../parts/notice.js";
import { navigate } from "../router.js";
import { FORMATS, exportSessions, saveRecording } from "../sessions/actions.js";
import { DeleteDialog } from "../sessions/delete-dialog.js";
import { list } from "../sessions/list.js";
import { Conversation } from "./conversation.js";
import { Details } from "./details.js";
import { Heading, titleOf } from "./heading.js";
import { LiveTail } from "./live-tail.js";
import { SessionNotices } from "./notices.js";
import { Talk } from "./talk.js";

const SAID = 2500; // milliseconds

/** @param {{params: {id: string}, query: URLSearchParams}} props */
export function SessionPage({ params, query }) {
  const conversation = useMemo(() => new Conversation(params.id), [params.id]);
  const allowed = access.may("read");
  useEffect(() => {
    if (allowed) conversation.load();
    return () => conversation.close();
  }, [conversation, allowed]);
  const session = conversation.session.value;
  useEffect(() => {
    if (session) document.title = `${titleOf(session)} · sttgate`;
  }, [session?.title, session?.created_at]);
  const phase = conversation.phase.value;
  const focused = useRef(false);
  useLayoutEffect(() => {
    // The heading that had the focus has gone with the waiting: its place is taken by this one.
    if (phase === "loading" || !focused.current || document.activeElement !== document.body) return;
    focused.current = false;
    document.querySelector("main h1")?.focus({ preventScroll: true });
  }, [phase]);
  if (!allowed) return html`<${NotAllowed} />`;
  switch (phase) {
    case "loading":
      return html`<h1 class="for-readers" tabindex="-1" onFocus=${() => (focused.current = true)}>Session</h1>
        <${Skeleton} lines=${9} />`;
    case "missing":
      return html`<${Missing} />`;
    case "failed":
      return html`<${Failed} conversation=${conversation} />`;
  }
  return html`<${Whole} key=${params.id} conversation=${conversation} query=${query} />`;
}

function Whole({ conversation, query }) {
  const session = conversation.session.value;
  const editable = access.may("transcribe");
  const [problem, setProblem] = useState("");
  const trouble = conversation.problem.value;
  const [q, t] = [query.get("q") ?? "", Number.parseFloat(query.get("t") ?? "")];
  return html`<div class="session-page">
    <${Heading} conversation=${conversation} editable=${editable}>
      <${Actions} conversation=${conversation} onProblem=${setProblem} />
    <//>
    <div class="notices">
      <div role="alert">
        ${problem && html`<${Notice} tone="error" title=${problem} />`}
        ${trouble && html`<${Notice} tone="warn" icon="plug" title=${trouble.message} actions=${again(conversation)} />`}
      </div>
      <${SessionNotices} session=${session} onRefresh=${() => conversation.load()} />
    </div>
    ${
      session.live
        ? html`<${LiveTail} path=${conversation.path} onEnd=${() => conversation.settle()} />`
        : html`<${Talk} conversation=${conversation} editable=${editable} q=${q} at=${Number.isFinite(t) ? t : null} />`
    }
    <${Details} conversation=${conversation} />
  </div>`;
}

function Actions({ conversation, onProblem }) {
  const { id, live, words, recording } = conversation.session.value;
  const [asking, ask] = useState(false);
  const act = async (work) => {
    onProblem("");
    try {
      await work();
    } catch (error) {
      onProblem(error.message);
    }
  };
  const save = (format) => async () => {
    const [failure] = await exportSessions([id], format);
    if (failure) throw failure.error;
  };
  const items = FORMATS.map(({ format, label, hint }) => ({ label, hint, onChoose: () => act(save(format)) }));
  if (recording) {
    items.push({ label: "Recording", hint: ".wav", onChoose: () => act(() => saveRecording(id)) });
  }
  return html`<${Menu} label="Export" icon="download" items=${items} />
    ${words > 0 && html`<${CopyButton} conversation=${conversation} onProblem=${onProblem} />`}
    ${
      access.may("delete") &&
      html`<button
        type="button"
        class="danger"
        disabled=${live}
        title=${live ? "It can be deleted once it has ended" : undefined}
        onClick=${() => ask(true)}
      >
        <${Icon} name="trash" size=${18} /> <span>Delete</span>
      </button>`
    }
    ${asking && html`<${Delete} conversation=${conversation} onClose=${() => ask(false)} />`}`;
}

function CopyButton({ conversation, onProblem }) {
  const [said, say] = useState("");
  const copy = async () => {
    onProblem("");
    try {
      if (navigator.clipboard && globalThis.ClipboardItem) {
        // Safari wants to be given the text while the button is pressed: a promise of it will do.
        await navigator.clipboard.write([new ClipboardItem({ "text/plain": textOf(conversation) })]);
        say("Copied");
      } else {
        // Without https there is no clipboard: select it, and the keyboard does the rest.
        getSelection().selectAllChildren(document.querySelector(".transcript"));
        say("Selected: press Ctrl+C");
      }
    } catch (error) {
      onProblem(error.message);
    }
    setTimeout(() => say(""), SAID);
  };
  return html`<button type="button" onClick=${copy}>
    <${Icon} name=${said === "Copied" ? "check" : "copy"} size=${18} />
    <span aria-live="polite">${said || "Copy"}</span>
  </button>`;
}

async function textOf(conversation) {
  const response = await request(`${conversation.path}/export`, { query: { format: "txt" }, headers: { Accept: "*/*" } });
  return new Blob([await response.text()], { type: "text/plain" });
}

function Delete({ conversation, onClose }) {
  const session = conversation.session.value;
  const parts = [{ value: "", label: "All of it", hint: "It is gone from the list, too." }];
  if (session.words > 0 && session.recording) {
    parts.push({ value: "transcript", label: "Only the words", hint: "The recording stays." });
    parts.push({ value: "recording", label: "Only the recording", hint: "The words stay." });
  }
  const onDeleted = ([id], part) => {
    if (!id) return;
    if (part) return conversation.load();
    list.forget([id]);
    list.said.value = `Deleted: ${titleOf(session)}`;
    navigate("/sessions");
  };
  return html`<${DeleteDialog}
    ids=${[session.id]}
    names=${[titleOf(session)]}
    parts=${parts}
    onClose=${onClose}
    onDeleted=${onDeleted}
  />`;
}

function Missing() {
  const actions = html`<a class="button" href="/sessions">Go to the sessions</a>`;
  return html`<h1 class="for-readers" tabindex="-1">Session</h1>
    <div role="alert">
      <${Empty} icon="search" title="There is no such conversation." actions=${actions}>
        It may have been deleted, or belong to another key.
      <//>
    </div>`;
}

function Failed({ conversation }) {
  const { status, message } = conversation.problem.value;
  const title = status === 0 && !navigator.onLine ? "You are offline." : "The conversation could not be fetched.";
  return html`<h1 class="for-readers" tabindex="-1">Session</h1>
    <div role="alert">
      <${Empty} icon=${status === 0 ? "plug" : "alert"} title=${title} actions=${again(conversation)}>${message}<//>
    </div>`;
}

function again(conversation) {
  return html`<button type="button" onClick=${() => conversation.load()}>
    <${Icon} name="refresh" size=${16} /> Try again
  </button>`;
}

function NotAllowed() {
  return html`<h1 tabindex="-1">Session</h1>
    <${Notice} tone="warn" icon="key" title="Your key may not read conversations.">
      Ask who runs this gateway for a key with the scope "read".
    <//>`;
}
