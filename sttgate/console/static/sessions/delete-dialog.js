// Asks before anything is deleted: there is no way back.

import { html, useState } from "../vendor/preact.js";
import { count } from "../format.js";
import { Dialog } from "../parts/dialog.js";
import { Icon } from "../parts/icon.js";
import { Notice } from "../parts/notice.js";
import { deleteSessions } from "./actions.js";

const SHOWN = 4; // names; who deletes more knows that it is many

/**
 * @param {{ids: string[], names: string[], parts: {value: ""|"transcript"|"recording", label: string,
 *   hint: string}[], onClose: () => void,
 *   onDeleted: (ids: string[], part: ""|"transcript"|"recording") => void}} props `parts`: what there is
 *   to choose from; with one there is no choice
 */
export function DeleteDialog({ ids, names, parts, onClose, onDeleted }) {
  const [part, setPart] = useState(parts[0].value);
  const [progress, setProgress] = useState(-1);
  const [failures, setFailures] = useState([]);
  const busy = progress >= 0;
  const remove = async () => {
    setProgress(0);
    const failed = await deleteSessions(ids, part, setProgress);
    setProgress(-1);
    setFailures(failed);
    const still = new Set(failed.map(({ id }) => id));
    onDeleted(ids.filter((id) => !still.has(id)), part);
    if (failed.length === 0) onClose();
  };
  const actions = html`<button type="button" class="quiet" disabled=${busy} onClick=${onClose}>
      ${failures.length > 0 ? "Close" : "Cancel"}
    </button>
    <button type="button" class="danger solid" disabled=${busy} onClick=${remove}>
      <${Icon} name="trash" size=${18} />
      ${busy ? `Deleting ${ids.length > 1 ? `${progress} of ${ids.length}` : ""}…` : "Delete"}
    </button>`;
  return html`<${Dialog}
    title=${ids.length === 1 ? "Delete this conversation?" : `Delete ${count(ids.length, "conversation")}?`}
    onClose=${() => busy || onClose()}
    actions=${actions}
  >
    <ul class="dialog-names">
      ${names.slice(0, SHOWN).map((name, i) => html`<li key=${i}>${name}</li>`)}
      ${names.length > SHOWN && html`<li>and ${names.length - SHOWN} more</li>`}
    </ul>
    ${parts.length > 1 && html`<${Choice} parts=${parts} part=${part} onChange=${setPart} disabled=${busy} />`}
    <p>This cannot be undone.</p>
    <div role="alert">
      ${
        failures.length > 0 &&
        html`<${Notice}
          tone="error"
          title=${ids.length === 1 ? "It was not deleted." : `${failures.length} of ${ids.length} were not deleted.`}
        >
          ${failures[0].error.message}
        <//>`
      }
    </div>
  <//>`;
}

function Choice({ parts, part, onChange, disabled }) {
  return html`<fieldset class="choice" disabled=${disabled}>
    <legend class="for-readers">What</legend>
    ${parts.map(
      ({ value, label, hint }) => html`<label key=${value}>
        <input
          type="radio"
          name="part"
          value=${value}
          checked=${value === part}
          onChange=${() => onChange(value)}
        />
        <span>${label}<span class="hint">${hint}</span></span>
      </label>`,
    )}
  </fieldset>`;
}
