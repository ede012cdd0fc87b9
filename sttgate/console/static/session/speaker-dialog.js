// Gives a speaker a name, wherever he speaks.

import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { Dialog } from "../parts/dialog.js";
import { TextField } from "../parts/fields.js";
import { nameOfSpeaker } from "./words.js";

/**
 * @param {{conversation: import("./conversation.js").Conversation, label: string,
 *   onClose: () => void}} props
 */
export function SpeakerDialog({ conversation, label, onClose }) {
  const [name, setName] = useState(conversation.names.value[label] ?? "");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const form = useRef(null);
  useEffect(() => form.current.querySelector("input").select(), []);
  const save = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await conversation.change({ speakers: { [label]: name.trim() || null } });
      onClose();
    } catch (error) {
      setProblem(error.message);
      setBusy(false);
    }
  };
  return html`<${Dialog} title="Who is this?" onClose=${onClose}>
    <form class="name-form" ref=${form} onSubmit=${save}>
      <${TextField}
        label="Name"
        maxlength="200"
        autocomplete="off"
        placeholder=${nameOfSpeaker(label, {})}
        hint="It stands in the whole conversation and in its exports."
        value=${name}
        onInput=${setName}
        error=${problem}
      />
      <div class="row">
        <button type="submit" class="primary" disabled=${busy}>Save</button>
        <button type="button" class="quiet" onClick=${onClose}>Cancel</button>
      </div>
    </form>
  <//>`;
}
