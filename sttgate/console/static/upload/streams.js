// How many streams of events may be open. A browser has six connections to a gateway, and a page needs
// some for everything else.

export class Streams {
  #free;

  /** @param {number} most */
  constructor(most) {
    this.#free = most;
  }

  /** Run `use` and wait for it, if there is one left. @param {() => Promise<void>} use */
  async use(use) {
    if (this.#free === 0) return false;
    this.#free -= 1;
    try {
      await use();
    } finally {
      this.#free += 1;
    }
    return true;
  }
}
