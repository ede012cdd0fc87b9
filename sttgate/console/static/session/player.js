// Plays the recording. The element gets its address with a token, for it cannot send the key.

import { computed, signal } from "../vendor/preact.js";
import { request, sessionAddress } from "../api.js";
import { setting } from "../settings.js";

export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];
const TOKEN_SECONDS = 3600;
const PATIENCE = 5000; // milliseconds; an address that fails sooner after it was made is not to blame

/** How fast somebody listens, until he says otherwise. */
const preferred = setting("speed", 1);

export class Player {
  /** Seconds into the recording. */
  time = signal(0);
  playing = signal(false);
  /** Whether somebody has played it, or gone somewhere. */
  used = signal(false);
  /** It was told to play, and has nothing to play yet. */
  waiting = signal(false);
  /** Why it cannot play. */
  problem = signal("");
  speed = computed(() => (SPEEDS.includes(preferred.value) ? preferred.value : 1));
  #id;
  #audio = /** @type {HTMLAudioElement|null} */ (null);
  #frame = 0;
  #wanted = false; // whether it is to play, once it can
  #made = 0; // when the address was
  #asked = 0; // which address was asked for last

  /** @param {string} id of the session @param {number} duration seconds */
  constructor(id, duration) {
    this.#id = id;
    this.duration = duration;
  }

  /** @param {HTMLAudioElement} audio which is told everything from here on */
  attach(audio) {
    this.#audio = audio;
    const on = {
      play: () => this.#run(true),
      pause: () => this.#run(false),
      ended: () => this.pause(),
      waiting: () => (this.waiting.value = !audio.paused),
      playing: () => (this.waiting.value = false),
      seeked: () => (this.time.value = audio.currentTime),
      timeupdate: () => audio.seeking || (this.time.value = audio.currentTime),
      error: () => this.#recover(),
    };
    for (const [name, listener] of Object.entries(on)) audio.addEventListener(name, listener);
    audio.preservesPitch = true;
    this.#open(this.time.value);
    return () => {
      for (const [name, listener] of Object.entries(on)) audio.removeEventListener(name, listener);
      cancelAnimationFrame(this.#frame);
      this.#asked++;
      this.#audio = null;
      audio.pause();
      audio.removeAttribute("src");
      audio.load(); // or it goes on to fetch
    };
  }

  play() {
    const audio = this.#audio;
    if (!audio) return;
    this.#wanted = this.used.value = true;
    if (this.problem.value) this.#open(this.time.value);
    this.problem.value = "";
    this.waiting.value = audio.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
    audio.play().catch((error) => {
      // An address that fails says so by itself; a pause that comes first is nothing to speak of.
      if (error.name === "NotAllowedError") this.#fail("This browser does not let the page play.");
    });
  }

  pause() {
    this.#wanted = false;
    this.#audio?.pause();
    this.waiting.value = false;
  }

  toggle() {
    if (this.playing.value) this.pause();
    else this.play();
  }

  /** @param {number} time seconds */
  seek(time) {
    const there = Math.max(0, Math.min(this.duration, time));
    this.used.value = true;
    this.time.value = there;
    if (this.#audio) this.#audio.currentTime = there;
  }

  /** @param {number} seconds forward, or back if negative */
  skip(seconds) {
    this.seek(this.time.value + seconds);
  }

  /** @param {number} speed one of SPEEDS */
  setSpeed(speed) {
    preferred.value = speed;
    if (this.#audio) this.#audio.playbackRate = this.#audio.defaultPlaybackRate = speed;
  }

  /** @param {1|-1} step */
  changeSpeed(step) {
    const place = SPEEDS.indexOf(this.speed.value) + step;
    this.setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, place))]);
  }

  #run(playing) {
    this.playing.value = playing;
    cancelAnimationFrame(this.#frame);
    if (playing) this.#follow();
    else if (this.#audio) this.time.value = this.#audio.currentTime;
  }

  /** The element tells the time four times a second; words want it more often. */
  #follow() {
    this.#frame = requestAnimationFrame(() => {
      if (!this.#audio) return;
      if (!this.#audio.seeking) this.time.value = this.#audio.currentTime;
      this.#follow();
    });
  }

  async #open(time) {
    const asked = ++this.#asked;
    this.#made = Date.now();
    let url;
    try {
      url = await sessionAddress(this.#id, "/audio", {}, TOKEN_SECONDS);
    } catch (error) {
      this.#fail(error.message);
      return;
    }
    const audio = this.#audio;
    if (!audio || asked !== this.#asked) return;
    audio.src = url;
    audio.currentTime = time || this.time.value; // where somebody went meanwhile
    audio.playbackRate = audio.defaultPlaybackRate = this.speed.value;
    if (this.#wanted) audio.play().catch(() => {}); // `error` says why
  }

  /** The token is too old, the network broke, or the recording is gone. */
  async #recover() {
    if (Date.now() - this.#made > PATIENCE) return this.#open(this.time.value);
    try {
      await request(`/sessions/${encodeURIComponent(this.#id)}/audio`, { method: "HEAD" });
      this.#fail("The recording cannot be played.");
    } catch (error) {
      this.#fail(error.status === 404 ? "The recording is not there any more." : error.message);
    }
  }

  #fail(sentence) {
    this.problem.value = sentence;
    this.#wanted = false;
    this.waiting.value = false;
    this.playing.value = false;
    cancelAnimationFrame(this.#frame);
  }
}
