// What is special about a session, and what is the matter with its recording.

import { html } from "../vendor/preact.js";
import { seconds } from "../format.js";
import { Icon } from "../parts/icon.js";
import { Notice } from "../parts/notice.js";

/** @param {{session: any, onRefresh: () => void}} props */
export function SessionNotices({ session, onRefresh }) {
  const notices = [standing(session, onRefresh), silent(session)].filter(Boolean);
  return notices.map((notice) => html`<${Notice} key=${notice.title} ...${notice}>${notice.text}<//>`);
}

function standing({ live, state, gaps, recording }, onRefresh) {
  if (live) {
    return {
      icon: "mic",
      title: "It is being recorded.",
      text: "The words come as they are recognised. The recording can be played once it has ended.",
    };
  }
  switch (state) {
    case "active":
      return {
        tone: "warn",
        title: "It has not ended.",
        text: "It runs elsewhere, or waits to be stored. What is here may not be all of it.",
        actions: html`<button type="button" onClick=${onRefresh}>
          <${Icon} name="refresh" size=${16} /> Look again
        </button>`,
      };
    case "interrupted":
      return {
        tone: "warn",
        title: "The gateway stopped in the middle of it.",
        text: "What was recorded until then is here, with its words.",
      };
    case "incomplete":
      return {
        tone: "warn",
        title: "It is not complete.",
        text:
          gaps.length > 0
            ? `${seconds(gaps.reduce((sum, { start, end }) => sum + end - start, 0))} were recorded, but no
              engine heard them. Who runs this gateway can have them heard later.`
            : "The client went away, or no engine answered at the end.",
      };
    case "failed":
      return {
        tone: "error",
        title: "No engine recognised it.",
        text: recording ? "Its recording is here." : "Its recording was not kept.",
      };
  }
  return null;
}

function silent({ live, state, recording, words }) {
  if (live || recording || state === "active" || state === "failed") return null;
  return {
    icon: "micOff",
    title: "There is no recording.",
    text: `It was not kept, or has been deleted. ${words > 0 ? "The words are here." : ""}`,
  };
}

/** @param {{player: import("./player.js").Player}} props */
export function PlayerTrouble({ player }) {
  const problem = player.problem.value;
  return html`<div role="alert" class="player-trouble">
    ${
      problem &&
      html`<${Notice}
        tone="error"
        icon="plug"
        title=${problem}
        actions=${html`<button type="button" onClick=${() => player.play()}>
          <${Icon} name="refresh" size=${16} /> Try again
        </button>`}
      />`
    }
  </div>`;
}
