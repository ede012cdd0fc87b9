// Text to copy.

import { html, useRef, useState } from "../vendor/preact.js";
import { Icon } from "./icon.js";

/**
 * A block of code with a button that copies it.
 * @param {{label: string, text: string}} props `label` says what it is
 */
export function Code({ label, text }) {
  const block = useRef(null);
  const [said, say] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      // Without https there is no clipboard: select it, and the keyboard does the rest.
      getSelection().selectAllChildren(block.current);
      say("Selected: press Ctrl+C");
    }
    setTimeout(() => say(""), 2500);
  };
  return html`<figure class="code">
    <figcaption>
      <span>${label}</span>
      <button type="button" class="quiet small" onClick=${copy} aria-label=${`Copy: ${label}`}>
        <${Icon} name=${said === "Copied" ? "check" : "copy"} size=${16} />
        <span aria-live="polite">${said || "Copy"}</span>
      </button>
    </figcaption>
    <pre ref=${block} tabindex="0" aria-label=${label}><code>${text}</code></pre>
  </figure>`;
}
