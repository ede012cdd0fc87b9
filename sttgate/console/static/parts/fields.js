// Fields of forms: a label with its control.

import { html, useId } from "../vendor/preact.js";
import { Icon } from "./icon.js";

/**
 * A choice from a list.
 * @param {{label: string, value: string, options: {value: string, label: string}[],
 *   onChange: (value: string) => void, disabled?: boolean, hint?: string}} props
 */
export function Select({ label, value, options, onChange, disabled, hint }) {
  const id = useId();
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <span class="select">
      <select
        id=${id}
        disabled=${disabled}
        aria-describedby=${hint && `${id}-hint`}
        onChange=${(event) => onChange(event.currentTarget.value)}
      >
        ${options.map(
          (option) => html`<option
            key=${option.value}
            value=${option.value}
            selected=${option.value === value}
          >
            ${option.label}
          </option>`,
        )}
      </select>
      <${Icon} name="chevron" size=${16} />
    </span>
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}

/**
 * A line of text. Other properties go to the input.
 * @param {{label: string, value: string, onInput: (value: string) => void, hint?: string,
 *   error?: string, [name: string]: any}} props
 */
export function TextField({ label, value, onInput, hint, error, ...rest }) {
  const id = useId();
  const notes = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <input
      id=${id}
      type="text"
      ...${rest}
      value=${value}
      aria-describedby=${notes || undefined}
      aria-invalid=${error ? "true" : undefined}
      onInput=${(event) => onInput(event.currentTarget.value)}
    />
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="field-error" id=${`${id}-error`} role="alert">${error}</p>`}
  </div>`;
}

/**
 * A switch.
 * @param {{label: string, on: boolean, onChange: (on: boolean) => void, hint?: string,
 *   disabled?: boolean}} props
 */
export function Switch({ label, on, onChange, hint, disabled }) {
  const id = useId();
  return html`<div class="field switch-field">
    <button
      type="button"
      role="switch"
      class="switch"
      id=${id}
      disabled=${disabled}
      aria-checked=${on ? "true" : "false"}
      aria-labelledby=${`${id}-label`}
      aria-describedby=${hint && `${id}-hint`}
      onClick=${() => onChange(!on)}
    >
      <span></span>
    </button>
    <label id=${`${id}-label`} for=${id}>${label}</label>
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  </div>`;
}
