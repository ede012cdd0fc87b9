// What can be done with the selected sessions.

import { html, useState } from "../vendor/preact.js";
import { access } from "../access.js";
import { Icon } from "../parts/icon.js";
import { Menu } from "../parts/menu.js";
import { FORMATS, exportSessions } from "./actions.js";
import { DeleteDialog } from "./delete-dialog.js";
import { list } from "./list.js";
import { nameOf } from "./states.js";

/** @param {{onProblem: (sentence: string) => void}} props */
export function SelectionBar({ onProblem }) {
  const [asking, ask] = useState(/** @type {string[]|null} */ (null));
  const [busy, setBusy] = useState(false);
  const ids = [...list.selected.value];
  const all = ids.length > 0 && ids.length === list.rows.value.length;
  const save = async (format) => {
    setBusy(true);
    onProblem("");
    try {
      const failures = await exportSessions(ids, format);
      if (failures.length > 0) {
        onProblem(`${failures.length} of ${ids.length} could not be exported: ${failures[0].error.message}`);
      }
    } finally {
      setBusy(false);
    }
  };
  const dialog =
    asking &&
    html`<${DeleteDialog}
      ids=${asking}
      names=${list.rows.value.filter(({ id }) => asking.includes(id)).map(nameOf)}
      parts=${[{ value: "", label: "", hint: "" }]}
      onClose=${() => ask(null)}
      onDeleted=${(gone) => list.forget(gone)}
    />`;
  if (ids.length === 0) return dialog;
  return html`<section class="selection-bar" aria-label="Selected conversations">
      <label class="pick">
        <input
          type="checkbox"
          checked=${all}
          indeterminate=${!all}
          aria-label="Select all that are shown"
          onChange=${() => list.selectAll(!all)}
        />
      </label>
      <p role="status">${ids.length} <span>selected</span></p>
      <div class="row">
        <${Menu}
          label=${busy ? "Exporting …" : "Export"}
          icon="download"
          disabled=${busy}
          class="up"
          items=${FORMATS.map(({ format, label, hint }) => ({ label, hint, onChoose: () => save(format) }))}
        />
        ${
          access.may("delete") &&
          html`<button type="button" class="danger" onClick=${() => ask(ids)}>
            <${Icon} name="trash" size=${18} /> <span>Delete</span>
          </button>`
        }
        <button type="button" class="quiet icon-only" aria-label="Select none" onClick=${() => list.selectAll(false)}>
          <${Icon} name="close" size=${18} />
        </button>
      </div>
    </section>
    ${dialog}`;
}
