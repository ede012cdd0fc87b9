// Recording and words together: what is heard is lit, what is pressed is heard.

import {
  html,
  signal,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useSignalEffect,
  useState,
} from "../vendor/preact.js";
import { Icon } from "../parts/icon.js";
import { Empty } from "../parts/notice.js";
import { setting } from "../settings.js";
import { wantsStillness } from "../theme.js";
import { Cursor } from "./cursor.js";
import { FindBar } from "./find-bar.js";
import { Finder } from "./finder.js";
import { everywhere, onPlayerKey } from "./keys.js";
import { KeysDialog } from "./keys-dialog.js";
import { Player } from "./player.js";
import { PlayerBar } from "./player-bar.js";
import { PlayerTrouble } from "./notices.js";
import { SpeakerDialog } from "./speaker-dialog.js";
import { Transcript } from "./transcript.js";

/** Whether words an engine was not sure of are underlined. */
const showUnsure = setting("show-unsure", false);

/**
 * @param {{conversation: import("./conversation.js").Conversation, editable: boolean, q: string,
 *   at: number|null}} props `q`: what to look for; `at`: seconds to begin at
 */
export function Talk({ conversation, editable, q, at }) {
  const session = conversation.session.value;
  const lines = conversation.lines.value;
  const playable = session.links.audio !== null && session.duration > 0;
  const [naming, setNaming] = useState(/** @type {string|null} */ (null));
  const [helping, setHelping] = useState(false);
  const region = useRef(null);
  const field = useRef(null);
  const words = useRef(null);
  const cursor = useRef(/** @type {Cursor|null} */ (null));
  const player = useMemo(
    () => (playable ? new Player(conversation.id, session.duration) : null),
    [conversation, playable],
  );
  const finder = useMemo(() => new Finder(conversation.lines), [conversation]);
  const following = useMemo(() => signal(true), [conversation]);

  const elements = useRef(/** @type {Map<string, Element>} */ (new Map()));
  const lineOf = (key) => elements.current.get(key) ?? null;
  const textOf = (key) => lineOf(key)?.querySelector(".utterance-text") ?? null;
  const onSeek = useCallback(
    (time, play = false) => {
      following.value = true;
      player.seek(time);
      if (play) player.play();
    },
    [player],
  );
  const toUtterance = (step) => {
    const line = cursor.current?.neighbour(player.time.value, step);
    if (!line) return;
    onSeek(line.start);
    reveal(line.element);
  };

  useLayoutEffect(() => {
    const rendered = [...(words.current?.querySelectorAll("[data-line]") ?? [])];
    elements.current = new Map(rendered.map((element) => [element.getAttribute("data-line"), element]));
    cursor.current = player && words.current ? new Cursor(words.current, lines) : null;
    if (player?.used.value) cursor.current?.move(player.time.value);
  }, [player, lines]);
  useSignalEffect(() => {
    if (!player?.used.value) return;
    const line = cursor.current?.move(player.time.value);
    if (line && player.playing.peek() && following.peek()) reveal(line);
  });
  useEffect(() => {
    finder.look(q);
    if (at !== null) {
      player?.seek(at);
      const place = finder.places.value.findIndex(({ line }) => at < line.end);
      if (place >= 0) finder.at.value = place;
    }
    const line = finder.here ?? (at !== null && lines.find(({ end }) => at < end));
    if (line) reveal(lineOf(line.key), "instant");
  }, [player, q, at]);
  useScrolledAway(following);

  const onKey = (event) =>
    onPlayerKey(event, {
      player,
      toUtterance,
      search: () => field.current?.focus(),
      help: () => setHelping(true),
    });
  useEffect(() => {
    if (!everywhere.value) return;
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });
  return html`<section
    class="talk ${showUnsure.value ? "show-unsure" : ""} ${player ? "playable" : ""}"
    aria-label="Recording and words"
    tabindex="-1"
    ref=${region}
    onKeyDown=${everywhere.value ? undefined : onKey}
  >
    ${
      lines.length > 0
        ? html`<${Toolbar} lines=${lines} onHelp=${player && (() => setHelping(true))}>
              <${FindBar}
                finder=${finder}
                lines=${lines}
                field=${field}
                textOf=${textOf}
                onPlace=${(line) => {
                  following.value = false;
                  reveal(lineOf(line.key));
                }}
              />
            <//>
            <div class="transcript size-0" ref=${words}>
              <${Transcript}
                conversation=${conversation}
                playable=${player !== null}
                onSeek=${onSeek}
                onName=${editable ? setNaming : null}
              />
            </div>`
        : html`<${Empty} icon="wave" title="There are no words.">
            Nobody spoke, no engine understood it, or the words were deleted.
          <//>`
    }
    ${
      player &&
      html`<${PlayerTrouble} player=${player} />
        <${PlayerBar} player=${player} path=${conversation.path} session=${session} />
        <${FollowChip} player=${player} following=${following} onFollow=${() => reveal(cursor.current?.line)} />`
    }
    ${
      naming !== null &&
      html`<${SpeakerDialog} conversation=${conversation} label=${naming} onClose=${() => setNaming(null)} />`
    }
    ${helping && html`<${KeysDialog} onClose=${() => setHelping(false)} />`}
  </section>`;
}

function Toolbar({ lines, onHelp, children }) {
  const rated = useMemo(
    () => lines.some(({ pieces }) => pieces.some(({ confidence }) => typeof confidence === "number")),
    [lines],
  );
  return html`<div class="talk-tools">
    ${children}
    ${
      rated &&
      html`<button
        type="button"
        class="small"
        title="Underline the words that the engine was not sure of"
        aria-pressed=${showUnsure.value ? "true" : "false"}
        onClick=${() => (showUnsure.value = !showUnsure.value)}
      >
        <span class="unsure-sample" aria-hidden="true">a</span> Uncertain words
      </button>`
    }
    ${
      onHelp &&
      html`<button type="button" class="small quiet" title="Keys of the player (?)" onClick=${onHelp}>
        <${Icon} name="keyboard" size=${18} /> <span>Keys</span>
      </button>`
    }
  </div>`;
}

function FollowChip({ player, following, onFollow }) {
  if (!player.playing.value || following.value) return null;
  const follow = () => {
    following.value = true;
    onFollow();
  };
  return html`<div class="view-actions">
    <button type="button" class="chip strong" onClick=${follow}>
      <${Icon} name="down" size=${16} /> Follow the recording
    </button>
  </div>`;
}

/** Who scrolls by himself wants to read something else. */
function useScrolledAway(following) {
  useEffect(() => {
    const away = () => (following.value = false);
    addEventListener("wheel", away, { passive: true });
    addEventListener("touchmove", away, { passive: true });
    return () => {
      removeEventListener("wheel", away);
      removeEventListener("touchmove", away);
    };
  }, [following]);
}

/** Bring a line into the middle, unless it is in sight. @param {Element|null|undefined} line */
function reveal(line, behavior = wantsStillness() ? "instant" : "smooth") {
  if (!line) return;
  const { top, bottom } = line.getBoundingClientRect();
  const dock = document.querySelector(".dock")?.getBoundingClientRect().top ?? innerHeight;
  const bar = document.querySelector(".bar")?.getBoundingClientRect().bottom ?? 0;
  if (top < bar + 24 || bottom > dock - 24) line.scrollIntoView({ block: "center", behavior });
}
