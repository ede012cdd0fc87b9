// What is around every page: the bar at the top, and the form for the key where one is needed.

import { html, useEffect, useState } from "./vendor/preact.js";
import { access } from "./access.js";
import { recorder } from "./live/recorder.js";
import { PAGES } from "./pages.js";
import { Icon } from "./parts/icon.js";
import { TextField } from "./parts/fields.js";
import { Empty, Notice } from "./parts/notice.js";
import { route } from "./router.js";
import { THEMES, theme } from "./theme.js";
import { DropVeil } from "./upload/drop.js";
import { uploads } from "./upload/uploads.js";

export function Shell() {
  const { page, params, query } = route.value;
  const state = access.state.value;
  useEffect(() => {
    document.title = page ? `${page.title} · sttgate` : "Not found · sttgate";
  }, [page]);
  const skip = (event) => {
    event.preventDefault();
    document.querySelector("main").focus();
  };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="bar">
      <a class="brand" href="/" aria-label="sttgate, live page">
        <span class="brand-mark"><${Icon} name="wave" size=${18} /></span>
        <span>sttgate</span>
      </a>
      <nav aria-label="Pages">
        ${PAGES.filter(({ icon }) => icon).map(
          ({ path, title, icon }) => html`<a
            key=${path}
            href=${path}
            aria-current=${currency(page, path)}
          >
            <${Icon} name=${icon} size=${18} />
            <span>${title}</span>
            ${path === "/" && recorder.busy.value && html`<${RecordingDot} />`}
            ${path === "/upload" && uploads.busy.value > 0 && html`<${UploadsCount} />`}
          </a>`,
        )}
      </nav>
      <div class="bar-end">
        ${state === "in" && html`<${SignOut} />`}
        <${ThemeSwitch} />
      </div>
    </header>
    <main id="main" tabindex="-1">
      ${state === "unreachable" && html`<${Unreachable} />`}
      ${
        state === "out"
          ? html`<${SignIn} />`
          : state === "asking"
            ? null
            : page
              ? html`<${page.component} key=${page.path} params=${params} query=${query} />`
              : html`<${NotFound} />`
      }
    </main>
    <${DropVeil} />`;
}

/** Of a link in the navigation: "page" for the page itself, "true" for one that lies below it. */
function currency(page, path) {
  if (page?.path === path) return "page";
  return page?.path.startsWith(`${path}/`) ? "true" : undefined;
}

function RecordingDot() {
  return html`<span class="recording-dot"><span class="for-readers">(recording)</span></span>`;
}

function UploadsCount() {
  const busy = uploads.busy.value;
  return html`<span class="nav-count">${busy}<span class="for-readers"> in progress</span></span>`;
}

const THEME_ICONS = { system: "system", light: "sun", dark: "moon" };

function ThemeSwitch() {
  return html`<div class="segments" role="group" aria-label="Colours">
    ${THEMES.map(
      (name) => html`<button
        key=${name}
        type="button"
        title=${name}
        aria-label=${`${name} colours`}
        aria-pressed=${theme.value === name ? "true" : "false"}
        onClick=${() => (theme.value = name)}
      >
        <${Icon} name=${THEME_ICONS[name]} size=${16} />
      </button>`,
    )}
  </div>`;
}

function SignOut() {
  const sending = uploads.fragile.value;
  const busy = recorder.busy.value || sending;
  const why = sending ? "Wait until the files are sent" : "Stop the recording first";
  return html`<button
    type="button"
    class="quiet small"
    disabled=${busy}
    title=${busy ? why : "Forget the key"}
    onClick=${() => access.signOut()}
  >
    <${Icon} name="out" size=${16} /> <span class="wide-only">Sign out</span>
  </button>`;
}

function SignIn() {
  const [key, setKey] = useState("");
  const [trying, setTrying] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    if (!key.trim()) return;
    setTrying(true);
    await access.signIn(key);
    setTrying(false);
  };
  return html`<section class="sign-in">
    <h1 tabindex="-1">Sign in</h1>
    ${
      recorder.busy.value &&
      html`<${Notice} tone="warn" title="Your recording goes on.">
        It is kept in this tab, and sent once you have signed in.
      <//>`
    }
    <p>This gateway asks for an API key. Who runs it can make one:</p>
    <pre tabindex="0" aria-label="Command"><code>sttgate keys create</code></pre>
    <form onSubmit=${submit}>
      <${TextField}
        label="API key"
        type="password"
        autocomplete="off"
        spellcheck=${false}
        placeholder="stt_…"
        value=${key}
        onInput=${setKey}
        error=${access.problem.value}
        hint="It is kept until you close this tab, and nowhere else."
      />
      <button type="submit" class="primary" disabled=${trying}>
        <${Icon} name="key" size=${18} /> ${trying ? "Checking …" : "Sign in"}
      </button>
    </form>
  </section>`;
}

function Unreachable() {
  const again = html`<button type="button" onClick=${() => access.check()}>Try again</button>`;
  return html`<div role="alert">
    <${Notice} tone="error" icon="plug" title="The gateway does not answer." actions=${again}>
      ${access.problem.value || "It may be starting, or the network is gone."}
    <//>
  </div>`;
}

function NotFound() {
  const home = html`<a class="button" href="/">Go to the live page</a>`;
  return html`<h1 class="for-readers" tabindex="-1">Not found</h1>
    <${Empty} icon="search" title="There is no such page." actions=${home}>
      The address may be old, or mistyped.
    <//>`;
}
