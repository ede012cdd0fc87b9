// The upload page: files in, conversations out.

import { html, useEffect } from "../vendor/preact.js";
import { access } from "../access.js";
import { LanguageField, ModelField, ProviderField } from "../live/setup-panel.js";
import { setup } from "../live/setup.js";
import { Icon } from "../parts/icon.js";
import { Notice } from "../parts/notice.js";
import { DropZone } from "./drop.js";
import { Row } from "./row.js";
import { uploads } from "./uploads.js";

export function UploadPage() {
  useEffect(() => {
    setup.load();
    uploads.load();
  }, []);
  if (!access.may("transcribe")) return html`<${NotAllowed} />`;
  return html`<div class="upload-page ${uploads.list.value.length > 0 ? "some" : ""}">
    <h1 tabindex="-1">Upload</h1>
    <${DropZone} />
    <${Choices} />
    <${List} />
    <p class="for-readers" role="status">${uploads.news.value}</p>
  </div>`;
}

function NotAllowed() {
  return html`<h1 class="for-readers" tabindex="-1">Upload</h1>
    <${Notice} tone="warn" icon="key" title="Your key may not transcribe.">
      Ask who runs this gateway for a key with the scope "transcribe".
    <//>`;
}

/** What to transcribe with: the choice of the live page, for it is the same person's. */
function Choices() {
  const chosen = [setup.chosen.value?.name, setup.language.value].filter(Boolean).join(" · ");
  return html`<details class="setup">
    <summary>
      <${Icon} name="sliders" size=${18} />
      <span>Engine and language</span>
      <span class="setup-now">${chosen || "Automatic"}</span>
      <${Icon} name="chevron" size=${16} />
    </summary>
    <div class="setup-fields">
      <${ProviderField} />
      <${ModelField} />
      <${LanguageField} />
    </div>
  </details>`;
}

function List() {
  const list = uploads.list.value;
  if (list.length === 0) return null;
  const some = list.length > 1 && list.some(({ over }) => over.value);
  return html`<section class="upload-list" aria-labelledby="upload-files">
    <div class="upload-list-head">
      <h2 id="upload-files">Files</h2>
      ${
        some &&
        html`<button type="button" class="quiet small" onClick=${() => uploads.clear()}>
          Clear what is over
        </button>`
      }
    </div>
    <${Leaving} />
    <ul>
      ${list.map((upload) => html`<${Row} key=${upload.number} upload=${upload} />`)}
    </ul>
  </section>`;
}

function Leaving() {
  if (uploads.fragile.value) {
    return html`<p class="hint">Keep this tab open until all files are sent.</p>`;
  }
  if (uploads.busy.value === 0) return null;
  return html`<p class="hint">
    All files are with the gateway. You may close this tab: they become conversations all the same.
  </p>`;
}
