// What is being said in a session that runs, for somebody who only watches.

import { html, signal, useEffect, useLayoutEffect, useMemo } from "../vendor/preact.js";
import { events } from "../api.js";
import { clock, seconds } from "../format.js";
import { Notice } from "../parts/notice.js";
import { Captions } from "../live/captions.js";
import { JumpToLive, Lines, toEnd, useFollowing } from "../live/transcript.js";

const AGAIN = 2000; // milliseconds until a broken connection is tried again

/** Follows the events of a session to its end; what was said before comes first. */
class Tail {
  captions = new Captions();
  /** "connecting", "live", "lost" */
  state = signal("connecting");
  /** Why there is nothing to see; empty while there is. */
  problem = signal("");
  #last = "";
  #closed = new AbortController();

  /** @param {string} path @param {() => void} onEnd it runs no more */
  async follow(path, onEnd) {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        const stream = events(`${path}/events`, { lastEventId: this.#last, signal });
        for await (const event of stream) {
          this.state.value = "live";
          this.problem.value = "";
          if (event.event === "end") return onEnd();
          this.#last = event.id || this.#last;
          this.#take(event.data);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 404) return onEnd(); // it ended meanwhile
        this.problem.value = error.message;
      }
      this.state.value = "lost";
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }

  close() {
    this.#closed.abort();
  }

  #take(event) {
    switch (event.event) {
      case "transcript":
        return this.captions.transcript(event, 0);
      case "utterance_end":
        return this.captions.utteranceEnd(event, 0);
      case "marked":
        return this.captions.note("flag", event.label ? `Mark: ${event.label}` : `Mark at ${clock(event.t)}`, event.t);
      case "provider":
        if (event.state !== "ready") return;
        return this.captions.note("plug", `From here recognised by ${event.provider}`, 0);
      case "gap":
        return this.captions.note("alert", `${seconds(event.end - event.start)} were recorded, not heard`, event.end);
    }
  }
}

/** @param {{path: string, onEnd: () => void}} props */
export function LiveTail({ path, onEnd }) {
  const tail = useMemo(() => new Tail(), [path]);
  const [following, follow] = useFollowing();
  useEffect(() => {
    tail.follow(path, onEnd);
    return () => tail.close();
  }, [tail]);
  const blocks = tail.captions.blocks.value;
  const interims = tail.captions.interims.value;
  const pending = tail.captions.pending.value;
  useLayoutEffect(() => {
    if (following.current && !tail.captions.empty) toEnd("instant");
  });
  return html`<section class="transcript size-0" aria-label="Captions">
    ${
      tail.state.value === "lost" &&
      html`<div role="status">
        <${Notice} tone="warn" icon="plug" title="The connection broke. It is tried again.">
          ${tail.problem.value}
        <//>
      </div>`
    }
    ${tail.captions.empty && html`<p class="hint tail-waits">Nothing was said so far.</p>`}
    <${Lines} blocks=${blocks} interims=${interims} pending=${pending} />
    <div class="view-actions">
      <${JumpToLive} follow=${follow} />
    </div>
  </section>`;
}
