// What the states of a session are called, and how they look.

/** @type {Object<string, {label: string, tone: string}>} */
export const STATES = {
  active: { label: "Not ended", tone: "warn" },
  completed: { label: "Completed", tone: "" },
  incomplete: { label: "Incomplete", tone: "warn" },
  interrupted: { label: "Interrupted", tone: "warn" },
  failed: { label: "Not recognised", tone: "error" },
};

/** What a session is called where there is one line for it. */
export function nameOf({ title, preview }) {
  return title || preview || "No words";
}
