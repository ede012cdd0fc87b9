// The keys of the player, and whether they work everywhere.

import { html } from "../vendor/preact.js";
import { Dialog } from "../parts/dialog.js";
import { Switch } from "../parts/fields.js";
import { KeyList } from "../parts/key-list.js";
import { PLAYER_KEYS, everywhere } from "./keys.js";

/** @param {{onClose: () => void}} props */
export function KeysDialog({ onClose }) {
  return html`<${Dialog} title="Keys of the player" onClose=${onClose}>
    <${KeyList} keys=${PLAYER_KEYS} between="/" />
    <${Switch}
      label="Everywhere on the page"
      hint="Otherwise they work while the focus is in the player or in the words."
      on=${everywhere.value}
      onChange=${(on) => (everywhere.value = on)}
    />
  <//>`;
}
