// Turns the microphone's samples into what sttgate takes: 16 kHz, 16 bits, mono, 100 ms at a time.
//
// It runs on the audio thread. The context keeps its own rate (Firefox refuses another one for a
// microphone), so the resampling is done here, with a windowed sinc whose taps are computed once.

const RATE = 16000;
const FRAME = RATE / 10; // samples in a message
const ZEROS = 16; // zero crossings of the sinc on each side: more is sharper and slower

class Resampler {
  constructor(from, to) {
    let [a, b] = [from, to];
    while (b) [a, b] = [b, a % b];
    this.up = to / a; // `up` samples out for `down` samples in
    this.down = from / a;
    const cutoff = Math.min(1, to / from) * 0.95;
    this.half = Math.ceil(ZEROS / cutoff);
    this.taps = Array.from({ length: this.up }, (_, phase) => this.kernel(phase / this.up, cutoff));
    this.input = new Float32Array(this.half - 1); // silence before the first sample
    this.at = 0; // where in `input` the next output sample's taps begin
    this.phase = 0;
  }

  kernel(offset, cutoff) {
    const taps = Float32Array.from({ length: 2 * this.half }, (_, i) => {
      const x = i - this.half + 1 - offset;
      if (Math.abs(x) >= this.half) return 0;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
      return sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / this.half));
    });
    const sum = taps.reduce((total, tap) => total + tap);
    return taps.map((tap) => tap / sum);
  }

  process(samples) {
    const input = new Float32Array(this.input.length + samples.length);
    input.set(this.input);
    input.set(samples, this.input.length);
    const output = [];
    while (this.at + 2 * this.half <= input.length) {
      const taps = this.taps[this.phase];
      let sum = 0;
      for (let i = 0; i < taps.length; i++) sum += taps[i] * input[this.at + i];
      output.push(sum);
      this.phase += this.down;
      this.at += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    const used = Math.min(this.at, input.length);
    this.input = input.slice(used);
    this.at -= used;
    return output;
  }

  flush() {
    return this.process(new Float32Array(this.half));
  }
}

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.frame = new DataView(new ArrayBuffer(FRAME * 2));
    this.filled = 0;
    this.running = true;
    this.port.onmessage = () => this.stop();
  }

  // Called with 128 samples of each channel at a time; with no channel while the input is silent.
  process([channels]) {
    if (this.running && channels.length > 0) {
      const mono = channels[0].map(
        (_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length,
      );
      this.take(this.resampler.process(mono));
    }
    return this.running;
  }

  take(samples) {
    for (const sample of samples) {
      const value = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
      this.frame.setInt16(2 * this.filled, value, true); // little-endian
      if (++this.filled === FRAME) this.post();
    }
  }

  post() {
    this.port.postMessage(this.frame.buffer.slice(0, 2 * this.filled));
    this.filled = 0;
  }

  // Any message from the page ends the recording; the answer null says that all audio is out.
  stop() {
    this.take(this.resampler.flush());
    if (this.filled > 0) this.post();
    this.running = false;
    this.port.postMessage(null);
  }
}

registerProcessor("microphone", Microphone);
