import { html } from "../vendor/preact.js";
export function StatusPage() {
  return html`<h1 tabindex="-1">Status</h1>`;
}
