// The microphone: asks for it, and hands over its sound in frames of 100 ms.

const WORKLET = new URL("./worklet.js", import.meta.url);
const PATIENCE = 1000; // ms for the audio thread to hand over the last frame

/** Why there is no microphone. `code`: insecure, unsupported, denied, missing, busy, broken. */
export class MicrophoneError extends Error {
  /** @param {string} code @param {unknown} [cause] */
  constructor(code, cause) {
    super(code, { cause });
    this.code = code;
  }
}

const CODES = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

/** "" where recording can work, else the code of a MicrophoneError. */
export function obstacle() {
  if (!window.isSecureContext || !navigator.mediaDevices) return "insecure";
  if (!window.AudioWorkletNode || !navigator.mediaDevices.getUserMedia) return "unsupported";
  return "";
}

/**
 * The microphones there are. Without permission they have no names, so there is none to choose.
 * @returns {Promise<{id: string, label: string}[]>}
 */
export async function microphones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices
    .filter(({ kind, label, deviceId }) => kind === "audioinput" && label && deviceId !== "default")
    .map(({ deviceId, label }) => ({ id: deviceId, label }));
}

export class Microphone {
  #stream;
  #context;
  #node;
  #source;
  #ended = null; // resolves once the audio thread has said all it had

  /**
   * Ask for a microphone and begin to record; MicrophoneError if that does not work.
   * @param {{device: string, raw: boolean, onFrame: (pcm: ArrayBuffer, rms: number) => void,
   *   onLost: () => void}} options `device`: an id, "" for the system's choice; `raw`: without what
   *   makes a voice pleasant for people and takes away what an engine listens for
   */
  static async open({ device, raw, onFrame, onLost }) {
    const code = obstacle();
    if (code) throw new MicrophoneError(code);
    const microphone = new Microphone();
    try {
      await microphone.#open(device, raw, onFrame, onLost);
    } catch (error) {
      microphone.#release();
      throw new MicrophoneError(CODES[error?.name] ?? "broken", error);
    }
    return microphone;
  }

  async #open(device, raw, onFrame, onLost) {
    const audio = {
      channelCount: 1,
      echoCancellation: !raw,
      noiseSuppression: !raw,
      autoGainControl: !raw,
      ...(device && { deviceId: { exact: device } }),
    };
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio });
    this.#context = new AudioContext();
    await this.#context.audioWorklet.addModule(WORKLET);
    this.#node = new AudioWorkletNode(this.#context, "capture", {
      numberOfInputs: 1,
      numberOfOutputs: 0,
    });
    const ended = new Promise((resolve) => {
      this.#node.port.onmessage = ({ data }) => (data ? onFrame(data.pcm, data.rms) : resolve());
    });
    this.#ended = ended;
    for (const track of this.#stream.getTracks()) track.onended = onLost;
    // A telephone call takes the sound away for a while; afterwards it has to be asked back.
    this.#context.onstatechange = () => {
      if (this.#context.state === "interrupted" || this.#context.state === "suspended") {
        this.#context.resume().catch(() => {});
      }
    };
    // Kept in a field: what nothing refers to may be collected, and falls silent.
    this.#source = this.#context.createMediaStreamSource(this.#stream);
    this.#source.connect(this.#node);
    if (this.#context.state !== "running") await this.#context.resume();
  }

  /** The name of the microphone that records. */
  get label() {
    return this.#stream.getAudioTracks()[0]?.label ?? "";
  }

  /** Stop, and return when the last frame has been handed over. */
  async close() {
    this.#node.port.postMessage("end");
    const patience = new Promise((resolve) => setTimeout(resolve, PATIENCE));
    await Promise.race([this.#ended, patience]);
    this.#release();
  }

  #release() {
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.#source?.disconnect();
    if (this.#context && this.#context.state !== "closed") {
      this.#context.onstatechange = null;
      this.#context.close().catch(() => {});
    }
  }
}
