// The start: who are we, and which page is it?

import { html, render } from "./vendor/preact.js";
import { access } from "./access.js";
import { watchAddress } from "./router.js";
import { Shell } from "./shell.js";
import { watchDrops } from "./upload/drop.js";
import "./theme.js";

watchAddress();
watchDrops();
render(html`<${Shell} />`, document.getElementById("app"));
access.check();
