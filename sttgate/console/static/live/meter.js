// The level of the microphone as a row of bars, the newest on the right.

import { wantsStillness } from "../theme.js";

const QUIETEST = -60; // dBFS: where the scale begins
const LOUDEST = -9; // RMS of loud speech
const BAR = 3; // CSS pixels
const GAP = 2;

/** An RMS on a scale of 0 to 1, as ears hear it. @param {number} rms */
export function loudness(rms) {
  const decibels = 20 * Math.log10(Math.max(rms, 1e-6));
  return Math.min(1, Math.max(0, (decibels - QUIETEST) / (LOUDEST - QUIETEST)));
}

/** @param {HTMLCanvasElement} canvas @param {number[]} levels RMS, newest last */
export function drawLevels(canvas, levels) {
  if (!canvas) return;
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  if (wantsStillness()) return drawStill(context, width, height, levels, style);
  const bars = Math.floor(width / (BAR + GAP));
  for (let i = 0; i < bars; i++) {
    const level = levels.at(i - bars);
    const size = level === undefined ? BAR : Math.max(BAR, loudness(level) * height);
    context.fillStyle = level === undefined ? style.borderColor : style.color;
    context.beginPath();
    context.roundRect(i * (BAR + GAP), (height - size) / 2, BAR, size, BAR / 2);
    context.fill();
  }
}

/** One bar that grows from the left, by steps of a quarter, and by no more than the last second says. */
function drawStill(context, width, height, levels, style) {
  const recent = levels.slice(-10);
  const level = recent.length > 0 ? Math.max(...recent.map(loudness)) : 0;
  const bar = (share, colour) => {
    context.fillStyle = colour;
    context.beginPath();
    context.roundRect(0, height / 2 - 3, width * share, 6, 3);
    context.fill();
  };
  bar(1, style.borderColor);
  if (level > 0) bar(Math.ceil(level * 4) / 4, style.color);
}
