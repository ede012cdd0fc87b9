// Help: the keys, and how to write a client for this very gateway.

import { html } from "../vendor/preact.js";
import { access } from "../access.js";
import { Code } from "../parts/code.js";
import { KeyList } from "../parts/key-list.js";
import { PLAYER_KEYS } from "../session/keys.js";
import { browserClient, curlUpload, pythonClient } from "./clients.js";

const KEYS = [
  [["Alt", "R"], "Record and stop, on the live page"],
  [["Alt", "M"], "Mark this moment, on the live page"],
];

export function HelpPage() {
  const withKey = access.state.value === "in";
  const { host, protocol } = location;
  const address = `${protocol === "https:" ? "wss" : "ws"}://${host}/ws/v1/speech-to-text`;
  return html`<div class="help">
    <h1 tabindex="-1">Help</h1>
    <section aria-labelledby="help-keys">
      <h2 id="help-keys">Keys</h2>
      <${KeyList} keys=${KEYS} between="+" />
      <h3>While a conversation is heard or read</h3>
      <${KeyList} keys=${PLAYER_KEYS} between="/" />
    </section>
    <section aria-labelledby="help-safe">
      <h2 id="help-safe">What happens to a recording</h2>
      <ul class="facts">
        <li>Voice and words are kept by the gateway while you speak, not only when you stop.</li>
        <li>
          If the connection breaks, this tab keeps up to a minute of sound and sends it as soon as the
          gateway answers. Do not close the tab meanwhile.
        </li>
        <li>
          If an engine fails, the next one hears again what is missing. Words come later, none is lost.
        </li>
        <li>You may look at other pages of the console: the recording goes on.</li>
      </ul>
    </section>
    <section aria-labelledby="help-client">
      <h2 id="help-client">Write a client</h2>
      <p>
        One WebSocket: send <code>start</code>, then sound (16-bit PCM, 16 kHz, mono), and at last${" "}
        <code>stop</code>. Words come back as they are heard.${withKey && " Put your API key in the place of YOUR_KEY."}
      </p>
      <${Code} label="Address" text=${address} />
      <${Code}
        label="Python: transcribes a WAV file (pip install websockets)"
        text=${pythonClient(address, withKey)}
      />
      <${Code}
        label="JavaScript: for the console of this page's developer tools"
        text=${browserClient(address)}
      />
      <${Code} label="Shell: a whole file at once" text=${curlUpload(location.origin, withKey)} />
      <p>
        All events and fields are in <code>docs/protocol.md</code> of the project; the REST API describes itself at${" "}
        <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.
      </p>
    </section>
  </div>`;
}
