// A question in front of the page: nothing else can be done until it is answered or put away.

import { html, useId, useLayoutEffect, useRef } from "../vendor/preact.js";
import { Icon } from "./icon.js";

/**
 * A modal dialog; it is open for as long as it is rendered, and gives the focus back when it goes.
 * @param {{title: string, onClose: () => void, children?: any, actions?: any}} props `onClose`: it was
 *   put away with Escape or the cross
 */
export function Dialog({ title, onClose, children, actions }) {
  const id = useId();
  const box = useRef(null);
  useLayoutEffect(() => {
    const [dialog, before] = [box.current, document.activeElement];
    dialog.showModal();
    return () => {
      dialog.close();
      before?.focus(); // by then the dialog may be out of the page, and gives nothing back
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault(); // it goes when its owner renders it no more
    onClose();
  };
  return html`<dialog ref=${box} class="dialog" aria-labelledby=${id} onCancel=${cancel}>
    <div class="dialog-head">
      <h2 id=${id}>${title}</h2>
      <button type="button" class="quiet small icon-only" aria-label="Close" onClick=${onClose}>
        <${Icon} name="close" size=${18} />
      </button>
    </div>
    <div class="dialog-body">${children}</div>
    ${actions && html`<div class="dialog-actions">${actions}</div>`}
  </dialog>`;
}
