// Is all well? What the figures mean for somebody who has to decide whether to do something.

import { count, roughly } from "../format.js";
import { isDown } from "./engines.js";

const LATE = 0.1; // seconds of event loop lag that people begin to notice
const ENOUGH = 60; // looks at it, half a minute's: a start is late by nature

/**
 * @typedef {{tone: "error"|"warn"|"info", icon?: string, title: string, text?: string}} Remark
 * @param {Object|null} status as /api/v1/status tells it; null while it is not known
 * @returns {{tone: string, text: string, notices: Remark[]}}
 */
export function judge(status) {
  if (!status) return { tone: "busy", text: "Asking", notices: [] };
  const notices = [
    ...leaving(status),
    ...refusing(status),
    ...storing(status),
    ...hearing(status),
    ...late(status),
    ...configured(status),
  ];
  const tones = notices.map(({ tone }) => tone);
  if (status.draining) return { tone: "warn", text: "Going away", notices };
  if (tones.includes("error")) return { tone: "error", text: "In trouble", notices };
  if (tones.includes("warn")) return { tone: "warn", text: "Works, with trouble", notices };
  return { tone: "ok", text: "All is well", notices };
}

function* leaving({ draining, sessions }) {
  if (!draining) return;
  yield {
    tone: "warn",
    icon: "clock",
    title: "The gateway is going away.",
    text:
      sessions.live > 0
        ? `It takes no new sessions, and ${count(sessions.live, "session")} may finish.`
        : "It takes no new sessions.",
  };
}

function* refusing({ ready, draining, sessions }) {
  if (ready || draining) return;
  const full = sessions.max !== null && sessions.live >= sessions.max;
  yield {
    tone: "error",
    title: "New sessions are sent elsewhere: /readyz says 503.",
    text: full
      ? "There are as many sessions as may be (server.max_sessions)."
      : "What comes cannot be stored, see below.",
  };
}

const STORES = {
  spool: ["The spool cannot be written.", "Running sessions live in memory: a crash now would lose what is not stored. Is the disk full?"],
  transcripts: ["The transcript store does not take anything.", "Words lie in the spool until it does."],
  recordings: ["The recording store does not take anything.", "Audio lies in the spool until it does."],
};

function* storing({ stores }) {
  for (const [name, [title, text]] of Object.entries(STORES)) {
    if (stores[name] === "ok") continue;
    const since = stores.outage_s > 1 ? ` That has been so for ${roughly(stores.outage_s)}.` : "";
    yield { tone: "error", icon: "alert", title, text: text + since };
  }
}

function* hearing({ providers, chain }) {
  const asked = chain.map((name) => providers.find((each) => each.name === name)).filter(Boolean);
  const down = asked.filter(isDown);
  if (down.length === 0) return;
  const names = down.map(({ name }) => name).join(", ");
  yield down.length === asked.length
    ? {
        tone: "error",
        icon: "plug",
        title: "No engine of the chain works.",
        text: "Sessions are recorded; they are heard as soon as one works again.",
      }
    : { tone: "warn", icon: "plug", title: `Out at the moment: ${names}.`, text: "Others of the chain step in." };
}

function* late({ loop_lag: lag }) {
  if (lag === null || lag.count < ENOUGH || lag.p95 < LATE) return;
  yield {
    tone: "warn",
    icon: "gauge",
    title: "The gateway is short of time.",
    text: "Its event loop is late by a tenth of a second and more: every session is. It may need more CPU, or fewer sessions.",
  };
}

function* configured({ warnings }) {
  for (const warning of warnings) yield { tone: "info", icon: "sliders", title: warning };
}
