// The keys of the player. Single characters count only while the focus is in the region of recording
// and words (WCAG 2.1.4), or everywhere if somebody wants that.

import { setting } from "../settings.js";

/** Whether the keys work wherever the focus is on the page. */
export const everywhere = setting("player-keys-everywhere", false);

/** For the help: the keys, and what they do. @type {[string[], string][]} */
export const PLAYER_KEYS = [
  [["Space", "K"], "Play and pause"],
  [["J", "L"], "10 seconds back and forward"],
  [["←", "→"], "3 seconds back and forward"],
  [[",", "."], "Previous and next utterance"],
  [["-", "="], "Slower and faster"],
  [["/"], "Search in the words"],
  [["?"], "Show these keys"],
];

const WRITES = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select";
const PRESSED = "button, a, summary, input"; // what Space does something else to

/**
 * @param {KeyboardEvent} event
 * @param {{player: import("./player.js").Player|null, toUtterance: (step: 1|-1) => void,
 *   search: () => void, help: () => void}} actions
 */
export function onPlayerKey(event, { player, toUtterance, search, help }) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const target = /** @type {Element} */ (event.target);
  if (target.closest(`${WRITES}, dialog`)) return;
  const act = {
    " ": target.matches(PRESSED) ? null : player && (() => player.toggle()),
    k: player && (() => player.toggle()),
    j: player && (() => player.skip(-10)),
    l: player && (() => player.skip(10)),
    ArrowLeft: player && (() => player.skip(-3)),
    ArrowRight: player && (() => player.skip(3)),
    ",": player && (() => toUtterance(-1)),
    ".": player && (() => toUtterance(1)),
    "-": player && (() => player.changeSpeed(-1)),
    "=": player && (() => player.changeSpeed(1)),
    "+": player && (() => player.changeSpeed(1)),
    "/": search,
    "?": help,
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
