// Which page is shown: the address tells, and links of the console change it without loading anew.

import { computed, signal } from "./vendor/preact.js";
import { PAGES } from "./pages.js";

const place = signal(location.pathname + location.search);

/**
 * What the address means: a page of PAGES (or null), what its pattern took, and the query.
 * @type {import("./vendor/preact.js").ReadonlySignal<
 *   {page: import("./pages.js").Page|null, params: Object<string, string>, query: URLSearchParams}>}
 */
export const route = computed(() => {
  const { pathname, searchParams } = new URL(place.value, location.origin);
  for (const page of PAGES) {
    const params = match(page.path, pathname);
    if (params) return { page, params, query: searchParams };
  }
  return { page: null, params: {}, query: searchParams };
});

/**
 * Go to a page.
 * @param {string} to path and query
 * @param {{replace?: boolean}} [options] `replace`: without a step of its own in the history
 */
export function navigate(to, { replace = false } = {}) {
  if (to === place.value) return;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  arrive(!replace);
}

/** Follow links and the buttons of the browser; to be called once. */
export function watchAddress() {
  addEventListener("popstate", () => arrive(false));
  document.addEventListener("click", (event) => {
    const link = /** @type {Element} */ (event.target).closest?.("a[href]");
    if (!link || !isPlain(event) || link.target || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || url.hash) return;
    if (!PAGES.some((page) => match(page.path, url.pathname))) return;
    event.preventDefault();
    navigate(url.pathname + url.search);
  });
}

function arrive(atTop) {
  const before = route.value.page;
  place.value = location.pathname + location.search;
  if (route.value.page === before) return;
  if (atTop) scrollTo(0, 0);
  // As after a real load, a screen reader begins with the new page.
  requestAnimationFrame(() => document.querySelector("main h1")?.focus({ preventScroll: true }));
}

function isPlain(event) {
  return event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
}

/** "/sessions/:id" and "/sessions/7" -> {id: "7"}; null if they do not fit. */
function match(pattern, path) {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== given.length) return null;
  const params = {};
  for (const [i, part] of wanted.entries()) {
    if (part.startsWith(":") && given[i]) params[part.slice(1)] = decode(given[i]);
    else if (part !== given[i]) return null;
  }
  return params;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone "%": nothing has such a name, and the page will say so
  }
}
