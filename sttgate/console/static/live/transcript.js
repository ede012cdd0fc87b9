// The captions. A final is a node that is added once and never changes, so that a screen reader says
// it once; what may still change is for the eye alone.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { clock } from "../format.js";
import { Icon } from "../parts/icon.js";
import { wantsStillness } from "../theme.js";
import { recorder } from "./recorder.js";

const NEAR = 96; // pixels from the end that still count as the end

/**
 * @param {{announce: import("../vendor/preact.js").Signal<string>,
 *   textSize: import("../vendor/preact.js").Signal<number>}} props
 */
export function Transcript({ announce, textSize }) {
  const { captions } = recorder;
  const [following, follow] = useFollowing();
  const blocks = captions.blocks.value;
  const interims = captions.interims.value;
  const held = captions.held.value;
  useLayoutEffect(() => {
    if (following.current) toEnd("instant");
  });
  return html`<section class="transcript size-${textSize.value}" aria-label="Captions">
    ${captions.empty && html`<${Welcome} />`}
    <${Lines} blocks=${blocks} interims=${held ? [] : interims} pending=${captions.pending.value}
      live=${announce.value === "off" ? "off" : "polite"} />
    <div class="view-actions">
      ${
        recorder.recording.value &&
        !captions.empty &&
        html`<button
          type="button"
          class="chip"
          aria-pressed=${held ? "true" : "false"}
          onClick=${() => (held ? captions.release() : captions.hold())}
        >
          <${Icon} name=${held ? "play" : "pause"} size=${16} />
          ${held ? "Show what came since" : "Hold the captions"}
        </button>`
      }
      <${JumpToLive} follow=${follow} />
    </div>
  </section>`;
}

/**
 * What was said, and below it what may still change. The page reads these from its captions, for it
 * has to be drawn anew with them: it scrolls to their end.
 *
 * @param {{blocks: object[], interims: object[], pending: object[], live?: string}} props
 */
export function Lines({ blocks, interims, pending, live = "polite" }) {
  return html`
    <div role="log" aria-live=${live} aria-relevant="additions">
      ${blocks.map((block) =>
        block.kind === "note"
          ? html`<${Note} key=${block.key} note=${block} />`
          : html`<${Utterance} key=${block.key} utterance=${block} />`,
      )}
    </div>
    <div class="interims" aria-hidden="true">
      ${interims.map(({ channel, text }) => html`<p key=${channel} class="interim">${text} <span>…</span></p>`)}
      ${pending.map(({ note }) => html`<${Note} key=${note.key} note=${note} />`)}
    </div>
  `;
}

/** The way back for somebody who has scrolled up; `follow` is what useFollowing gave. */
export function JumpToLive({ follow }) {
  if (follow.value) return null;
  return html`<button type="button" class="chip strong" onClick=${follow.start}>
    <${Icon} name="down" size=${16} /> Jump to live
  </button>`;
}

function Utterance({ utterance }) {
  const { at, speaker, channel, finals } = utterance;
  return html`<div class="utterance ${at === null ? "unsettled" : ""}">
    <p class="utterance-head">
      ${at !== null && html`<time>${clock(at)}</time>`}
      ${(speaker !== null || channel > 0) && html`<span>${speaker ?? `Channel ${channel + 1}`}</span>`}
    </p>
    <p class="utterance-text">
      ${finals.value.map((text, i) => html`<span key=${i} class="final">${i > 0 ? " " : ""}${text}</span>`)}
    </p>
  </div>`;
}

function Note({ note }) {
  return html`<p class="note"><${Icon} name=${note.icon} size=${16} /> <span>${note.text}</span></p>`;
}

function Welcome() {
  const phase = recorder.phase.value;
  if (recorder.recording.value) {
    return html`<div class="welcome">
      <p class="welcome-title">Speak.</p>
      <p>Your words appear here as you say them.</p>
    </div>`;
  }
  if (phase === "asking") {
    return html`<div class="welcome">
      <p class="welcome-title">May this page listen?</p>
      <p>Your browser asks whether this page may use the microphone. Allow it to go on.</p>
    </div>`;
  }
  if (phase !== "idle") return null;
  return html`<div class="welcome">
    <p class="welcome-title">Press record and speak.</p>
    <p>
      Your words appear here as you say them. Voice and text are kept by this gateway, and nothing is
      lost when the connection breaks.
    </p>
    <p class="welcome-keys"><kbd>Alt</kbd> + <kbd>R</kbd> records and stops</p>
  </div>`;
}

/** Whether the page follows what is added; scrolling up stops that, being at the end starts it. */
export function useFollowing() {
  const following = useRef(true);
  const [value, setValue] = useState(true);
  const set = (is) => {
    following.current = is;
    setValue(is);
  };
  useEffect(() => {
    let last = document.documentElement.scrollTop;
    const look = () => {
      const { scrollHeight, clientHeight, scrollTop } = document.documentElement;
      if (scrollHeight - clientHeight - scrollTop <= NEAR) set(true);
      else if (scrollTop < last) set(false);
      last = scrollTop;
    };
    addEventListener("scroll", look, { passive: true });
    return () => removeEventListener("scroll", look);
  }, []);
  const start = () => {
    set(true);
    toEnd(wantsStillness() ? "instant" : "smooth");
  };
  return [following, { value, start }];
}

/** @param {ScrollBehavior} behavior */
export function toEnd(behavior) {
  scrollTo({ top: document.documentElement.scrollHeight, behavior });
}
