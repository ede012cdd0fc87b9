// All that is known of the session, folded away.

import { html } from "../vendor/preact.js";
import { clock, count, dayAndTime, seconds } from "../format.js";
import { Icon } from "../parts/icon.js";
import { addressOf } from "../sessions/filters.js";
import { STATES } from "../sessions/states.js";

const REASONS = {
  client: "The client stopped",
  shutdown: "The gateway was shut down",
  idle: "Nothing came for too long",
  max_duration: "It was as long as it may be",
  provider_error: "Every engine failed",
};

/** @param {{conversation: import("./conversation.js").Conversation}} props */
export function Details({ conversation }) {
  const session = conversation.session.value;
  const metadata = Object.entries(session.metadata);
  return html`<details class="setup session-details">
    <summary>
      <${Icon} name="help" size=${18} /> <span>About this conversation</span>
      <${Icon} name="chevron" size=${16} />
    </summary>
    <div class="details-body">
      <dl class="facts-list">
        ${factsOf(session).map(
          ([name, value]) => html`<div key=${name}>
            <dt>${name}</dt>
            <dd>${value}</dd>
          </div>`,
        )}
      </dl>
      ${
        metadata.length > 0 &&
        html`<h2>Metadata</h2>
          <dl class="facts-list">
            ${metadata.map(
              ([key, value]) => html`<div key=${key}>
                <dt>${key}</dt>
                <dd>
                  ${
                    typeof value === "string"
                      ? html`<a href=${addressOf({ metadata: [[key, value]] })} title="Find others with it">${value}</a>`
                      : String(value)
                  }
                </dd>
              </div>`,
            )}
          </dl>`
      }
      <${Usage} usage=${session.usage} />
    </div>
  </details>`;
}

function Usage({ usage }) {
  const rows = Object.entries(usage).map(([name, value]) => [usageName(name), usageValue(name, value)]);
  if (rows.length === 0) return null;
  return html`<h2>Usage</h2>
    <dl class="facts-list">
      ${rows.map(
        ([name, value]) => html`<div key=${name}>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
      )}
    </dl>`;
}

function factsOf(session) {
  const engines = shares(session.utterances);
  const rows = [
    ["State", STATES[session.state]?.label ?? session.state],
    ["Why it ended", session.reason && (REASONS[session.reason] ?? session.reason)],
    ["Began", dayAndTime(session.created_at)],
    ["Ended", session.ended_at && dayAndTime(session.ended_at)],
    ["Length", session.duration !== null && clock(session.duration)],
    ["Engine", engines || session.provider],
    ["Model", session.model],
    ["Language", session.language],
    ["Words", count(session.words, "word")],
    ["Marks", session.marks.length > 0 && count(session.marks.length, "mark")],
    ["Not heard", session.gaps.length > 0 && seconds(session.gaps.reduce((sum, { start, end }) => sum + end - start, 0))],
    ["Sound", `${(session.sample_rate / 1000).toLocaleString("en")} kHz, ${count(session.channels, "channel")}`],
    ["Recording", session.recording ? "kept" : "none"],
    ["Client", session.protocol],
    ["Client's name for it", session.client_ref],
    ["Id", html`<code>${session.id}</code>`],
  ];
  return rows.filter(([, value]) => value);
}

/** "deepgram (12 utterances), whisper (3 utterances)"; nothing if there was one engine only. */
function shares(utterances) {
  const counts = new Map();
  for (const { provider } of utterances) counts.set(provider, (counts.get(provider) ?? 0) + 1);
  if (counts.size < 2) return "";
  return [...counts].map(([name, n]) => `${name ?? "unknown"} (${count(n, "utterance")})`).join(", ");
}

/** "deepgram.sent_s" -> "Sent to deepgram" */
function usageName(name) {
  if (name === "audio_s") return "Received";
  if (name === "unrecorded_s") return "Not recorded";
  const [, provider] = /^(.+)\.sent_s$/.exec(name) ?? [];
  return provider ? `Sent to ${provider}` : name;
}

function usageValue(name, value) {
  return name.endsWith("_s") ? seconds(value) : value.toLocaleString("en");
}
