// The words: a paragraph for each line, a span for each word. Nothing here renders while it plays.

import { html } from "../vendor/preact.js";
import { clock, seconds, spoken } from "../format.js";
import { Icon } from "../parts/icon.js";
import { nameOfSpeaker } from "./words.js";

const UNSURE = 0.6; // confidence below which a word is worth a second look

/**
 * @param {{conversation: import("./conversation.js").Conversation, playable: boolean,
 *   onSeek: (time: number, play?: boolean) => void, onName: ((label: string) => void)|null}} props
 *   `onName`: null for who may not change names
 */
export function Transcript({ conversation, playable, onSeek, onName }) {
  const session = conversation.session.value;
  const lines = conversation.lines.value;
  const named = lines.some(({ label }) => label !== lines[0].label || !/^Channel \d+$/.test(label));
  const toWord = (event) => {
    const word = /** @type {Element} */ (event.target).closest("[data-s]");
    if (!word || !getSelection().isCollapsed) return; // who selects text does not want to go there
    onSeek(Number(word.getAttribute("data-s")));
  };
  return html`<div class="said-lines" onClick=${playable ? toWord : undefined}>
    ${blocksOf(lines, session).map((block) =>
      block.line
        ? html`<${Line}
            key=${block.line.key}
            line=${block.line}
            conversation=${conversation}
            named=${named && block.line.first}
            onSeek=${playable ? onSeek : null}
            onName=${onName}
          />`
        : html`<${Note} key=${block.key} note=${block} onSeek=${playable ? onSeek : null} />`,
    )}
  </div>`;
}

function Line({ line, conversation, named, onSeek, onName }) {
  const { key, start, label, pieces } = line;
  const name = nameOfSpeaker(label, conversation.names.value);
  return html`<div class="utterance" data-line=${key}>
    <div class="utterance-head">
      <${From} time=${start} onSeek=${onSeek} />
    </div>
    <div class="said">
      ${
        named &&
        (onName
          ? html`<button type="button" class="speaker" aria-label=${`${name}: change the name`} onClick=${() => onName(label)}>
              ${name} <${Icon} name="pencil" size=${14} />
            </button>`
          : html`<p class="speaker">${name}</p>`)
      }
      <p class="utterance-text">
        ${pieces.map((piece, i) =>
          piece.start === undefined
            ? piece.text
            : html`<span
                key=${i}
                data-s=${piece.start}
                class=${typeof piece.confidence === "number" && piece.confidence < UNSURE ? "unsure" : undefined}
                >${piece.text}</span
              >`,
        )}
      </p>
    </div>
  </div>`;
}

/** A time; a button that plays from there, if there is something to play. */
function From({ time, onSeek }) {
  if (!onSeek) return html`<time>${clock(time)}</time>`;
  return html`<button
    type="button"
    class="from"
    aria-label=${`Play from ${spoken(time)}`}
    onClick=${() => onSeek(time, true)}
  >
    ${clock(time)}
  </button>`;
}

function Note({ note, onSeek }) {
  return html`<div class="utterance between ${note.tone ?? ""}">
    <div class="utterance-head">${note.at !== undefined && html`<${From} time=${note.at} onSeek=${onSeek} />`}</div>
    <p class="note"><${Icon} name=${note.icon} size=${16} /> <span>${note.text}</span></p>
  </div>`;
}

/** Lines, and between them marks, gaps, and where another engine or language begins. */
function blocksOf(lines, { marks, gaps }) {
  const notes = [
    ...marks.map(({ at, label }, i) => ({ key: `m${i}`, at, icon: "flag", text: label ? `Mark: ${label}` : "Mark" })),
    ...gaps.map(({ start, end }, i) => ({
      key: `g${i}`,
      at: start,
      icon: "alert",
      tone: "warn",
      text: `${seconds(end - start)} were recorded, but no engine heard them`,
    })),
  ].sort((a, b) => a.at - b.at);
  const blocks = [];
  let before = null;
  for (const line of lines) {
    while (notes.length > 0 && notes[0].at <= line.start) blocks.push(notes.shift());
    const change = before && changeOf(before, line);
    if (change) blocks.push({ key: `c${line.key}`, ...change });
    blocks.push({ line });
    before = line;
  }
  return [...blocks, ...notes];
}

function changeOf(before, { provider, language }) {
  const engine = provider && provider !== before.provider && `recognised by ${provider}`;
  const tongue = language && language !== before.language && `in ${language}`;
  const changes = [engine, tongue].filter(Boolean);
  return changes.length > 0 ? { icon: "plug", text: `From here ${changes.join(", ")}` } : null;
}
