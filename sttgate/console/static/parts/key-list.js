// Keys, and what they do.

import { html } from "../vendor/preact.js";

/**
 * @param {{keys: [string[], string][], between: string}} props `between`: what stands between the keys of
 *   a row, such as "+" for those that are pressed together
 */
export function KeyList({ keys, between }) {
  return html`<dl class="keys">
    ${keys.map(
      ([names, text]) => html`<dt key=${text}>
          ${names.map((name, i) => html`${i > 0 && ` ${between} `}<kbd>${name}</kbd>`)}
        </dt>
        <dd>${text}</dd>`,
    )}
  </dl>`;
}
