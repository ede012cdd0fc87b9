// The live page: what is being said, as it is said.

import { html, useEffect } from "../vendor/preact.js";
import { access } from "../access.js";
import { setting } from "../settings.js";
import { Notice } from "../parts/notice.js";
import { Dock } from "./dock.js";
import { Notices } from "./notices.js";
import { recorder } from "./recorder.js";
import { SetupPanel } from "./setup-panel.js";
import { setup } from "./setup.js";
import { StatusLine } from "./status-line.js";
import { Transcript } from "./transcript.js";

/** "off" or "finals": what a screen reader says of the words. */
const announce = setting("announce", "finals");
/** 0 is small, 4 is huge. */
const textSize = setting("text-size", 1);

export function LivePage() {
  useEffect(() => {
    setup.load();
    recorder.listMicrophones();
    const onKey = (event) => {
      if (!event.altKey || event.ctrlKey || event.metaKey || event.repeat) return;
      // By its place on the keyboard: with Alt held, a Mac types other letters.
      if (event.code === "KeyR") recorder.toggle();
      else if (event.code === "KeyM") recorder.mark();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  if (!access.may("transcribe")) return html`<${NotAllowed} />`;
  return html`<div class="live-page">
    <div class="live-head">
      <h1 class="for-readers" tabindex="-1">Live</h1>
      <${StatusLine} textSize=${textSize} />
      <${SetupPanel} announce=${announce} />
    </div>
    <${Notices} />
    <${Transcript} announce=${announce} textSize=${textSize} />
    <${Dock} />
  </div>`;
}

function NotAllowed() {
  return html`<h1 class="for-readers" tabindex="-1">Live</h1>
    <${Notice} tone="warn" icon="key" title="Your key may not transcribe.">
      Ask who runs this gateway for a key with the scope "transcribe".
    <//>`;
}
