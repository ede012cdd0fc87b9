// What a recording is made with: microphone, engine, language. Kept in this browser.

import { computed, signal } from "../vendor/preact.js";
import { get } from "../api.js";
import { setting } from "../settings.js";

/**
 * @typedef {{name: string, state?: string, models?: string[], languages?: string[]|null}} Provider
 */
class Setup {
  /** The id of a microphone, "" for the system's choice. */
  microphone = setting("microphone", "");
  /** Whether the browser leaves the sound as it is. */
  raw = setting("raw", true);
  /** The name of a provider, "" for the operator's chain. */
  provider = setting("provider", "");
  model = setting("model", "");
  language = setting("language", "");
  /** Of the next recording only. */
  title = signal("");
  /** The providers the gateway has; null while that is not known. */
  providers = signal(/** @type {Provider[]|null} */ (null));
  /** The names of those that are asked in turn. */
  chain = signal(/** @type {string[]} */ ([]));

  /** The provider that was chosen, undefined if it is left to the gateway. */
  chosen = computed(() => this.providers.value?.find(({ name }) => name === this.provider.value));

  /** Ask the gateway what there is. A gateway that cannot tell is one with a choice less. */
  async load() {
    try {
      const { providers, chain } = await get("/providers");
      this.providers.value = providers;
      this.chain.value = chain ?? [];
    } catch {
      this.providers.value ??= [];
    }
  }

  /** What `hello` told, in case the gateway has no list of them. @param {string[]} names */
  offered(names) {
    if (this.providers.value?.length) return;
    this.providers.value = names.map((name) => ({ name }));
  }

  /** The fields of `start`. */
  startFields() {
    const fields = { sample_rate: 16000, channels: 1, protocol: 2, ...this.#choice() };
    if (this.title.value.trim()) fields.title = this.title.value.trim();
    return fields;
  }

  /** What is asked for a file. */
  uploadFields() {
    return this.#choice();
  }

  #choice() {
    const fields = {};
    // A provider that has gone from the configuration would refuse every recording.
    const known = !this.providers.value?.length || this.chosen.value;
    if (this.provider.value && known) {
      fields.provider = this.provider.value;
      if (this.model.value && this.chosen.value?.models?.includes(this.model.value)) {
        fields.model = this.model.value;
      }
    }
    if (this.language.value.trim()) fields.language = this.language.value.trim();
    return fields;
  }
}

export const setup = new Setup();
