// The search in the words of one session.

import { html, useLayoutEffect } from "../vendor/preact.js";
import { Icon } from "../parts/icon.js";
import { paint, unpaint } from "./finder.js";

/**
 * @param {{finder: import("./finder.js").Finder, lines: import("./words.js").Line[],
 *   field: {current: HTMLInputElement|null}, textOf: (key: string) => Element|null,
 *   onPlace: (line: import("./words.js").Line) => void}} props `onPlace`: show it
 */
export function FindBar({ finder, lines, field, textOf, onPlace }) {
  const places = finder.places.value;
  const at = finder.at.value;
  const text = finder.text.value;
  useLayoutEffect(() => {
    paint(finder, textOf);
    return unpaint;
  }, [lines, places, at]);
  const go = (step) => {
    finder.step(step);
    if (finder.here) onPlace(finder.here);
  };
  const onInput = (event) => {
    finder.look(event.currentTarget.value);
    if (finder.here) onPlace(finder.here);
  };
  const onKeyDown = (event) => {
    if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape" && text) finder.look("");
    else return;
    event.preventDefault();
  };
  return html`<search class="find-bar">
    <div class="search-field">
      <${Icon} name="search" size=${18} />
      <input
        ref=${field}
        type="search"
        aria-label="Search in this conversation"
        placeholder="Search in this conversation"
        autocomplete="off"
        spellcheck=${false}
        value=${text}
        onInput=${onInput}
        onKeyDown=${onKeyDown}
      />
    </div>
    <p role="status" class="find-count">${standing(text, places, at)}</p>
    ${
      places.length > 0 &&
      html`<div class="find-steps">
        <button type="button" class="quiet small icon-only up" aria-label="Previous place" onClick=${() => go(-1)}>
          <${Icon} name="chevron" size=${18} />
        </button>
        <button type="button" class="quiet small icon-only" aria-label="Next place" onClick=${() => go(1)}>
          <${Icon} name="chevron" size=${18} />
        </button>
      </div>`
    }
  </search>`;
}

function standing(text, places, at) {
  if (!text.trim()) return "";
  if (places.length === 0) return "Not found";
  return html`${at + 1} of ${places.length}<span class="for-readers">: ${places[at].line.text}</span>`;
}
