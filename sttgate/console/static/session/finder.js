// Finds words in the transcript, and paints them without touching what a screen reader reads.

import { batch, computed, signal } from "../vendor/preact.js";

const ALL = "found";
const HERE = "found-here";

/** The lines that have what is looked for. A line is a place; in it each occurrence is painted. */
export class Finder {
  text = signal("");
  /** Which of the places one is at, from 0. */
  at = signal(0);
  places = computed(() => (this.#terms.value.length === 0 ? [] : this.#find()));
  #folded; // folding takes longer than looking, and is done once
  #terms = computed(() => termsOf(this.text.value));

  /** @param {import("../vendor/preact.js").ReadonlySignal<import("./words.js").Line[]>} lines */
  constructor(lines) {
    this.#folded = computed(() => lines.value.map((line) => ({ line, ...fold(line.text) })));
  }

  /** @param {string} text as in the search of the list: all words, those in quotes next to each other */
  look(text) {
    batch(() => {
      this.text.value = text;
      this.at.value = 0;
    });
  }

  /** @param {1|-1} step to the next place, or to the one before; after the last comes the first */
  step(step) {
    const { length } = this.places.value;
    if (length > 0) this.at.value = (this.at.value + step + length) % length;
  }

  /** The line one is at, or null. */
  get here() {
    return this.places.value[this.at.value]?.line ?? null;
  }

  #find() {
    const places = [];
    for (const { line, folded, origin } of this.#folded.value) {
      const spans = this.#terms.value.map((term) => occurrences(folded, term));
      if (spans.some((found) => found.length === 0)) continue;
      places.push({ line, spans: spans.flat().map(([from, to]) => [origin[from], origin[to]]) });
    }
    return places;
  }
}

/**
 * Paint what was found.
 * @param {Finder} finder @param {(key: string) => Element|null} textOf the element of a line's text
 */
export function paint(finder, textOf) {
  if (!globalThis.CSS?.highlights) return; // an older browser: the places can be visited all the same
  const [all, here] = [new Highlight(), new Highlight()];
  here.priority = 1;
  for (const [i, { line, spans }] of finder.places.value.entries()) {
    const element = textOf(line.key);
    if (!element) continue;
    for (const range of rangesOf(element, spans)) (i === finder.at.value ? here : all).add(range);
  }
  CSS.highlights.set(ALL, all);
  CSS.highlights.set(HERE, here);
}

export function unpaint() {
  globalThis.CSS?.highlights?.delete(ALL);
  globalThis.CSS?.highlights?.delete(HERE);
}

/** 'delivery "next tuesday"' -> ["delivery", "next tuesday"] */
function termsOf(text) {
  const terms = [...text.matchAll(/"([^"]*)"?|[^\s"]+/g)].map(([whole, quoted]) => quoted ?? whole);
  return terms.map((term) => fold(term.trim()).folded).filter(Boolean);
}

/** Without accents and case; `origin[i]` is where in the text the character `i` came from. */
function fold(text) {
  let folded = "";
  const origin = [];
  let at = 0;
  for (const character of text) {
    const plain = character.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    for (let i = 0; i < plain.length; i++) origin.push(at);
    folded += plain;
    at += character.length;
  }
  origin.push(at);
  return { folded, origin };
}

function occurrences(text, term) {
  const found = [];
  for (let at = text.indexOf(term); at >= 0; at = text.indexOf(term, at + term.length)) {
    found.push([at, at + term.length]);
  }
  return found;
}

/** The text of an element is in many text nodes; `spans` count in all of it. */
function rangesOf(element, spans) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const nodes = [];
  let at = 0;
  while (walker.nextNode()) {
    nodes.push([at, walker.currentNode]);
    at += walker.currentNode.length;
  }
  return spans.flatMap(([from, to]) => {
    const [first, last] = [nodeAt(nodes, from), nodeAt(nodes, to - 1)];
    if (!first || !last) return [];
    const range = new Range();
    range.setStart(first[1], from - first[0]);
    range.setEnd(last[1], to - last[0]);
    return [range];
  });
}

function nodeAt(nodes, at) {
  return nodes.find(([start, node]) => at >= start && at < start + node.length);
}
