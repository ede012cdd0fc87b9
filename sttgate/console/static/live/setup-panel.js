// What to record with: folded away, for most people never need it.

import { html } from "../vendor/preact.js";
import { Select, Switch, TextField } from "../parts/fields.js";
import { Icon } from "../parts/icon.js";
import { recorder } from "./recorder.js";
import { setup } from "./setup.js";

/** @param {{announce: import("../vendor/preact.js").Signal<string>}} props */
export function SetupPanel({ announce }) {
  const busy = recorder.busy.value;
  return html`<details class="setup">
    <summary>
      <${Icon} name="sliders" size=${18} />
      <span>Microphone and engine</span>
      <span class="setup-now">${summary()}</span>
      <${Icon} name="chevron" size=${16} />
    </summary>
    <div class="setup-fields">
      <${MicrophoneField} disabled=${busy} />
      <${ProviderField} disabled=${busy} />
      <${ModelField} disabled=${busy} />
      <${LanguageField} disabled=${busy} />
      <${TextField}
        label="Title of the next recording"
        placeholder="None"
        maxlength="200"
        disabled=${busy}
        value=${setup.title.value}
        onInput=${(value) => (setup.title.value = value)}
      />
      <div class="setup-switches">
        <${Switch}
          label="Raw microphone"
          hint="Without echo cancelling, noise suppression and gain control: better for engines."
          on=${setup.raw.value}
          disabled=${busy}
          onChange=${(on) => (setup.raw.value = on)}
        />
        <${Switch}
          label="Announce captions"
          hint="Screen readers read each sentence aloud when it is settled."
          on=${announce.value !== "off"}
          onChange=${(on) => (announce.value = on ? "finals" : "off")}
        />
      </div>
    </div>
  </details>`;
}

function summary() {
  const microphone = recorder.microphones.value.find(({ id }) => id === setup.microphone.value);
  const parts = [microphone?.label, setup.chosen.value?.name, setup.language.value];
  return parts.filter(Boolean).join(" · ") || "Automatic";
}

function MicrophoneField({ disabled }) {
  const known = recorder.microphones.value;
  const options = [
    { value: "", label: "The system's choice" },
    ...known.map(({ id, label }) => ({ value: id, label })),
  ];
  return html`<${Select}
    label="Microphone"
    value=${setup.microphone.value}
    options=${options}
    disabled=${disabled}
    hint=${known.length === 0 ? "Others are shown once this page may use the microphone." : ""}
    onChange=${(id) => (setup.microphone.value = id)}
  />`;
}

export function ProviderField({ disabled }) {
  const providers = setup.providers.value ?? [];
  const chain = setup.chain.value;
  const options = [
    { value: "", label: chain.length > 0 ? `Automatic: ${chain.join(", then ")}` : "Automatic" },
    ...providers.map(({ name, state }) => ({
      value: name,
      label: state && state !== "ready" ? `${name} (not ready)` : name,
    })),
  ];
  return html`<${Select}
    label="Engine"
    value=${setup.provider.value}
    options=${options}
    disabled=${disabled}
    hint=${setup.chosen.value ? "It is used alone: no other steps in when it fails." : ""}
    onChange=${(name) => {
      setup.provider.value = name;
      setup.model.value = "";
    }}
  />`;
}

export function ModelField({ disabled }) {
  const models = setup.chosen.value?.models ?? [];
  if (models.length === 0) return null;
  const options = [
    { value: "", label: "As configured" },
    ...models.map((name) => ({ value: name, label: name })),
  ];
  return html`<${Select}
    label="Model"
    value=${setup.model.value}
    options=${options}
    disabled=${disabled}
    onChange=${(name) => (setup.model.value = name)}
  />`;
}

export function LanguageField({ disabled }) {
  const languages = setup.chosen.value?.languages;
  if (languages?.length) {
    const options = [
      { value: "", label: "As configured" },
      ...languages.map((tag) => ({ value: tag, label: nameOf(tag) })),
    ];
    return html`<${Select}
      label="Language"
      value=${setup.language.value}
      options=${options}
      disabled=${disabled}
      onChange=${(tag) => (setup.language.value = tag)}
    />`;
  }
  return html`<${TextField}
    label="Language"
    placeholder="As configured"
    spellcheck=${false}
    maxlength="35"
    disabled=${disabled}
    value=${setup.language.value}
    hint="A tag such as en, de or pt-BR."
    onInput=${(value) => (setup.language.value = value)}
  />`;
}

/** "de" -> "German (de)" */
function nameOf(tag) {
  try {
    const name = new Intl.DisplayNames(["en"], { type: "language" }).of(tag);
    return name && name !== tag ? `${name} (${tag})` : tag;
  } catch {
    return tag; // "auto" and the like are no tags
  }
}
