// The colours: the system's, or those somebody chose.

import { effect } from "./vendor/preact.js";
import { setting } from "./settings.js";

export const THEMES = ["system", "light", "dark"];

/** One of THEMES. */
export const theme = setting("theme", "system");

effect(() => {
  const root = document.documentElement;
  if (theme.value === "light" || theme.value === "dark") root.dataset.theme = theme.value;
  else delete root.dataset.theme;
});

/** Whether things should stay where they are; a function, for it can change at any time. */
export function wantsStillness() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
