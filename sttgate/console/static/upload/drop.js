// Files that are dropped: anywhere on the page, for a browser would leave it to show them.

import { html, signal, useRef } from "../vendor/preact.js";
import { access } from "../access.js";
import { Icon } from "../parts/icon.js";
import { navigate } from "../router.js";
import { describe, uploads } from "./uploads.js";

const ACCEPT = "audio/*,video/*,.wav,.mp3,.m4a,.flac,.ogg,.opus,.webm,.mp4,.aac,.amr,.wma,.mka,.mkv";

/** Whether files are above the page now. */
const hovering = signal(false);

/** Take what is dropped, on whichever page; to be called once. */
export function watchDrops() {
  let depth = 0; // every element that is entered and left tells so
  const hover = (change) => (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = Math.max(0, depth + change);
    hovering.value = depth > 0 && welcome();
  };
  addEventListener("dragenter", hover(1));
  addEventListener("dragleave", hover(-1));
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = welcome() ? "copy" : "none";
  });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    hovering.value = false;
    if (!welcome()) return;
    const files = filesOf(event.dataTransfer);
    navigate("/upload");
    uploads.add(files);
  });
}

/** What lies over other pages while files are above them. */
export function DropVeil() {
  if (!hovering.value) return null;
  return html`<div class="drop-veil" aria-hidden="true">
    <p><${Icon} name="upload" size=${28} /> Drop them to have them transcribed</p>
  </div>`;
}

export function DropZone() {
  const input = useRef(null);
  const choose = ({ currentTarget }) => {
    uploads.add(currentTarget.files);
    currentTarget.value = ""; // the same file may be chosen again
  };
  return html`<div class="drop-zone ${hovering.value ? "over" : ""}">
    <span class="empty-icon"><${Icon} name="upload" size=${28} /></span>
    <p class="drop-title">Add recordings</p>
    <p class="drop-terms" id="drop-terms">
      <span class="drop-how">Drop them anywhere on this page, or choose them.${" "}</span>
      ${describe(uploads.terms.value)}
    </p>
    <button
      type="button"
      class="primary"
      aria-describedby="drop-terms"
      onClick=${() => input.current.click()}
    >
      Choose files
    </button>
    <input
      ref=${input}
      type="file"
      multiple
      hidden
      accept=${ACCEPT}
      aria-label="Files to transcribe"
      onChange=${choose}
    />
  </div>`;
}

function welcome() {
  return ["in", "off"].includes(access.state.value) && access.may("transcribe");
}

function hasFiles({ dataTransfer }) {
  return dataTransfer?.types.includes("Files") ?? false;
}

/** The files, without folders: those cannot be read as files. */
function filesOf({ items, files }) {
  const entries = [...items].filter(({ kind }) => kind === "file");
  return entries
    .filter((item) => !item.webkitGetAsEntry?.()?.isDirectory)
    .map((item) => item.getAsFile())
    .concat(entries.length === 0 ? [...files] : [])
    .filter(Boolean);
}
