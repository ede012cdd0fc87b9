// Where in the words the recording is: lights up the word and its line, without rendering anything.

const LATE = 0.4; // seconds a word stays lit after its end

export class Cursor {
  #words;
  #lines;
  #word = /** @type {Element|null} */ (null);
  #line = /** @type {Element|null} */ (null);

  /**
   * @param {Element} root that has rendered the lines @param {import("./words.js").Line[]} lines
   */
  constructor(root, lines) {
    const timed = lines.flatMap(({ pieces }) => pieces.filter(({ start }) => start !== undefined));
    this.#words = places(timed, root.querySelectorAll("[data-s]"));
    this.#lines = places(lines, root.querySelectorAll("[data-line]"));
  }

  /** Light up what is said at `time`. @returns {Element|null} the line, if it is another one than before */
  move(time) {
    const word = at(this.#words, time);
    if (word !== this.#word) {
      this.#word?.classList.remove("now");
      word?.classList.add("now");
      this.#word = word;
    }
    const line = at(this.#lines, time);
    if (line === this.#line) return null;
    this.#line?.removeAttribute("aria-current");
    line?.setAttribute("aria-current", "true");
    this.#line = line;
    return line;
  }

  /** The line that is lit, or null. */
  get line() {
    return this.#line;
  }

  /** The line that begins next after `time`, or the last one clearly before it. @param {1|-1} step */
  neighbour(time, step) {
    const { spans } = this.#lines;
    const found =
      step > 0
        ? spans.find(({ start }) => start > time + 0.05)
        : spans.findLast(({ start }) => start < time - 1);
    return found ?? (step < 0 ? spans[0] : undefined);
  }
}

/** What has times, sorted by them, with the elements that show it. */
function places(timed, elements) {
  const spans = timed.map(({ start, end }, i) => ({ start, end, element: elements[i] }));
  return { spans: spans.sort((a, b) => a.start - b.start) };
}

/** The element of what began last before `time`, unless it is long over. */
function at({ spans }, time) {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle].start <= time) low = middle + 1;
    else high = middle;
  }
  const found = spans[low - 1];
  return found && time < found.end + LATE ? found.element : null;
}
