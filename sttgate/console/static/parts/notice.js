// A card that says what is the matter, and what can be done about it.

import { html } from "../vendor/preact.js";
import { Icon } from "./icon.js";

const ICONS = { info: "help", ok: "check", warn: "alert", error: "alert" };

/**
 * @param {{tone?: "info"|"ok"|"warn"|"error", icon?: string, title: any, children?: any,
 *   actions?: any}} props
 */
export function Notice({ tone = "info", icon, title, children, actions }) {
  return html`<div class="notice ${tone}">
    <span class="notice-icon"><${Icon} name=${icon ?? ICONS[tone]} /></span>
    <div class="notice-body">
      <p class="notice-title">${title}</p>
      ${children && html`<div class="notice-text">${children}</div>`}
      ${actions && html`<div class="notice-actions">${actions}</div>`}
    </div>
  </div>`;
}

/**
 * What a page shows when it has nothing, or nothing yet.
 * @param {{icon: string, title: any, children?: any, actions?: any}} props
 */
export function Empty({ icon, title, children, actions }) {
  return html`<div class="empty">
    <span class="empty-icon"><${Icon} name=${icon} size=${28} /></span>
    <h2>${title}</h2>
    ${children && html`<p>${children}</p>`} ${actions && html`<div class="row">${actions}</div>`}
  </div>`;
}

/** Grey bars in the place of what is being fetched. @param {{lines?: number}} props */
export function Skeleton({ lines = 3 }) {
  return html`<div class="skeleton" aria-hidden="true">
    ${Array.from({ length: lines }, (_, i) => html`<span key=${i}></span>`)}
  </div>`;
}
