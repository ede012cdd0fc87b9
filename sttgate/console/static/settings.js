// What somebody has set in this browser: signals that are kept in localStorage under "sttgate.NAME".

import { effect, signal } from "./vendor/preact.js";

/**
 * A signal whose value outlives the page. A value of another type than `initial` is not believed.
 * @template T
 * @param {string} name
 * @param {T} initial
 * @returns {import("./vendor/preact.js").Signal<T>}
 */
export function setting(name, initial) {
  const key = `sttgate.${name}`;
  const value = signal(read(key, initial));
  effect(() => write(key, value.value));
  return value;
}

function read(key, initial) {
  try {
    const text = localStorage.getItem(key);
    if (text === null) return initial;
    const value = typeof initial === "string" ? text : JSON.parse(text);
    return typeof value === typeof initial ? value : initial;
  } catch {
    return initial; // storage is switched off, or somebody edited it
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, typeof value === "string" ? value : JSON.stringify(value));
  } catch {
    // storage is switched off or full: the setting lasts as long as the page
  }
}
