// On the audio thread: turns what the microphone gives into what sttgate takes, 16 kHz, 16 bits, mono.
//
// Posts {pcm: ArrayBuffer, rms: number} for every 100 ms. Any message from the page ends it; then the
// rest comes, and null says that all is out. The context keeps its own rate, for Firefox refuses
// another one for a microphone.

import { Resampler } from "./resampler.js";

const RATE = 16000;
const FRAME = RATE / 10; // samples

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(Math.round(sampleRate), RATE);
    this.mono = new Float32Array(128);
    this.put = this.put.bind(this);
    this.running = true;
    this.renew();
    this.port.onmessage = () => this.end();
  }

  // 128 samples of each channel at a time; no channel at all while the microphone is muted.
  process([channels]) {
    if (!this.running) return false;
    const length = channels[0]?.length ?? this.mono.length;
    if (this.mono.length !== length) this.mono = new Float32Array(length);
    this.mono.fill(0);
    for (const channel of channels) {
      for (let i = 0; i < length; i++) this.mono[i] += channel[i] / channels.length;
    }
    this.resampler.process(this.mono, this.put);
    return true;
  }

  put(sample) {
    const value = Math.max(-1, Math.min(1, sample));
    this.frame.setInt16(2 * this.filled, Math.round(value * 32767), true); // little-endian
    this.power += value * value;
    if (++this.filled === FRAME) this.post();
  }

  post() {
    const whole = this.frame.buffer;
    const pcm = this.filled === FRAME ? whole : whole.slice(0, 2 * this.filled);
    const rms = Math.sqrt(this.power / this.filled);
    this.port.postMessage({ pcm, rms }, [pcm]);
    this.renew();
  }

  renew() {
    this.frame = new DataView(new ArrayBuffer(2 * FRAME));
    this.filled = 0;
    this.power = 0;
  }

  end() {
    if (!this.running) return;
    this.resampler.flush(this.put);
    if (this.filled > 0) this.post();
    this.running = false;
    this.port.postMessage(null);
  }
}

registerProcessor("capture", Capture);
