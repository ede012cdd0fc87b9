// The outline of the recording, with what was played, the marks and the gaps; the slider lies on it.

import { html, useEffect, useRef, useSignalEffect, useState } from "../vendor/preact.js";
import { get } from "../api.js";

const PIECES = 1000;
const BAR = 3; // pixels from one bar to the next
const HEIGHT = 48;
const QUIET = 0.08; // the loudest sample; what is quieter is not blown up any further

/**
 * @param {{player: import("./player.js").Player, path: string, marks: {at: number}[],
 *   gaps: {start: number, end: number}[]}} props
 */
export function Waveform({ player, path, marks, gaps }) {
  const box = useRef(null);
  const [peaks, setPeaks] = useState(/** @type {[number, number][]|null} */ (null));
  const width = useWidth(box);
  useEffect(() => {
    let here = true;
    get(`${path}/peaks`, { query: { n: PIECES } })
      .then(({ channels }) => here && setPeaks(loudest(channels)))
      .catch(() => here && setPeaks([])); // the slider works without
    return () => (here = false);
  }, [path]);
  useSignalEffect(() => {
    const part = player.duration > 0 ? player.time.value / player.duration : 0;
    box.current?.style.setProperty("--played", `${(100 * part).toFixed(3)}%`);
  });
  const outline = peaks && width > 0 ? bars(peaks, width) : "";
  const place = (seconds) => `${(100 * Math.min(1, seconds / (player.duration || 1))).toFixed(3)}%`;
  return html`<div class="waveform ${peaks ? "" : "loading"}" ref=${box} aria-hidden="true">
    <svg class="wave-all" width="100%" height=${HEIGHT} focusable="false">
      ${gaps.map(
        ({ start, end }) => html`<rect
          key=${start}
          class="wave-gap"
          x=${place(start)}
          width=${place(end - start)}
          y="0"
          height=${HEIGHT}
        />`,
      )}
      <path d=${outline} />
      ${marks.map(({ at }) => html`<line key=${at} class="wave-mark" x1=${place(at)} x2=${place(at)} y1="0" y2=${HEIGHT} />`)}
    </svg>
    <svg class="wave-played" width="100%" height=${HEIGHT} focusable="false"><path d=${outline} /></svg>
  </div>`;
}

/** Of all channels the lowest and the highest sample of each piece. */
function loudest(channels) {
  const [first = [], ...others] = channels;
  return first.map(([low, high], i) => [
    Math.min(low, ...others.map((pieces) => pieces[i][0])),
    Math.max(high, ...others.map((pieces) => pieces[i][1])),
  ]);
}

/** The path of an SVG: a line up and down for each bar. */
function bars(peaks, width) {
  const count = Math.max(1, Math.min(peaks.length, Math.floor(width / BAR)));
  const loud = peaks.map(([low, high]) => Math.max(-low, high));
  const top = loud.reduce((most, value) => Math.max(most, value), QUIET);
  let path = "";
  for (let bar = 0; bar < count; bar++) {
    const [from, to] = [bar, bar + 1].map((n) => Math.floor((n * loud.length) / count));
    let level = 0;
    for (let i = from; i < to; i++) level = Math.max(level, loud[i]);
    const half = Math.max(0.5, (Math.sqrt(level / top) * (HEIGHT - 4)) / 2);
    const x = (((bar + 0.5) * width) / count).toFixed(1);
    path += `M${x} ${(HEIGHT / 2 - half).toFixed(1)}V${(HEIGHT / 2 + half).toFixed(1)}`;
  }
  return path;
}

function useWidth(box) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
    watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  return width;
}
