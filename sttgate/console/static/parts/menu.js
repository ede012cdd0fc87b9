// A button that shows more buttons: a disclosure, so that Tab and Escape are all there is to know.

import { html, useEffect, useId, useRef, useState } from "../vendor/preact.js";
import { Icon } from "./icon.js";

/**
 * @param {{label: string, icon: string, disabled?: boolean, class?: string,
 *   items: {label: string, hint?: string, onChoose: () => void}[]}} props
 */
export function Menu({ label, icon, items, disabled, class: more = "" }) {
  const id = useId();
  const whole = useRef(null);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (!open) return;
    const outside = (event) => {
      if (!whole.current.contains(event.target)) setOpen(false);
    };
    addEventListener("pointerdown", outside);
    addEventListener("focusin", outside);
    return () => {
      removeEventListener("pointerdown", outside);
      removeEventListener("focusin", outside);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    whole.current.querySelector("button").focus();
  };
  const onKeyDown = (event) => {
    if (event.key !== "Escape" || !open) return;
    event.stopPropagation();
    close();
  };
  const choose = (item) => {
    close();
    item.onChoose();
  };
  return html`<div class="menu ${more}" ref=${whole} onKeyDown=${onKeyDown}>
    <button
      type="button"
      disabled=${disabled}
      aria-expanded=${open ? "true" : "false"}
      aria-controls=${id}
      onClick=${() => setOpen(!open)}
    >
      <${Icon} name=${icon} size=${18} /> <span>${label}</span>
      <${Icon} name="chevron" size=${16} />
    </button>
    <ul id=${id} class="menu-items" hidden=${!open}>
      ${items.map(
        (item) => html`<li key=${item.label}>
          <button type="button" class="quiet" onClick=${() => choose(item)}>
            <span>${item.label}</span>
            ${item.hint && html`<span class="hint">${item.hint}</span>`}
          </button>
        </li>`,
      )}
    </ul>
  </div>`;
}
