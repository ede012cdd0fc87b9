// From the rate of the microphone to that of the wire, with a windowed sinc.
//
// Nothing in here knows where it runs: on the audio thread, or in a test.

const ZEROS = 16; // zero crossings of the sinc on each side: more is sharper and slower
const MARGIN = 0.95; // of the highest frequency there can be; the rest is the slope of the filter

export class Resampler {
  /** @param {number} from @param {number} to samples a second, whole numbers */
  constructor(from, to) {
    const divisor = gcd(from, to);
    this.up = to / divisor; // `up` samples out for `down` samples in
    this.down = from / divisor;
    const cutoff = Math.min(1, to / from) * MARGIN;
    this.half = Math.ceil(ZEROS / cutoff);
    this.taps = Array.from({ length: this.up }, (_, phase) =>
      kernel(phase / this.up, cutoff, this.half),
    );
    this.input = new Float32Array(4 * this.half);
    this.filled = this.half - 1; // silence before the first sample
    this.at = 0; // where in `input` the taps of the next output sample begin
    this.phase = 0;
  }

  /**
   * Take samples; `put` is called with each sample that comes out.
   * @param {Float32Array} samples @param {(sample: number) => void} put
   */
  process(samples, put) {
    this.keep(samples);
    while (this.at + 2 * this.half <= this.filled) {
      const taps = this.taps[this.phase];
      let sum = 0;
      for (let i = 0; i < taps.length; i++) sum += taps[i] * this.input[this.at + i];
      put(sum);
      this.phase += this.down;
      this.at += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    const used = Math.min(this.at, this.filled);
    this.input.copyWithin(0, used, this.filled);
    this.filled -= used;
    this.at -= used;
  }

  /** Put out what is still inside. @param {(sample: number) => void} put */
  flush(put) {
    this.process(new Float32Array(this.half), put);
  }

  keep(samples) {
    const needed = this.filled + samples.length;
    if (needed > this.input.length) {
      const larger = new Float32Array(2 * needed);
      larger.set(this.input.subarray(0, this.filled));
      this.input = larger;
    }
    this.input.set(samples, this.filled);
    this.filled = needed;
  }
}

/** The filter for a sample that lies `offset` (0 to 1) after one of the input's. */
function kernel(offset, cutoff, half) {
  const taps = Float32Array.from({ length: 2 * half }, (_, i) => {
    const x = i - half + 1 - offset;
    if (Math.abs(x) >= half) return 0;
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
    return sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / half));
  });
  const sum = taps.reduce((total, tap) => total + tap);
  return taps.map((tap) => tap / sum);
}

function gcd(a, b) {
  while (b) [a, b] = [b, a % b];
  return a;
}
