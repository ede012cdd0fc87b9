// What is looked for: in the address of the page, and as the API is asked for it.

/**
 * `from` and `to` are days of the calendar on the wall, such as "2026-11-25", both included.
 * @typedef {{q: string, from: string, to: string, provider: string, language: string, state: string,
 *   metadata: [string, string][]}} Filters
 */

const NAMES = ["q", "from", "to", "provider", "language", "state"];
const METADATA = "metadata.";

/** @param {URLSearchParams} query @returns {Filters} */
export function readFilters(query) {
  const filters = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ""]));
  const metadata = [...query]
    .filter(([name]) => name.startsWith(METADATA) && name.length > METADATA.length)
    .map(([name, value]) => [name.slice(METADATA.length), value]);
  return { ...filters, metadata };
}

/** The address of the page with these filters. @param {Partial<Filters>} filters */
export function addressOf(filters) {
  const query = new URLSearchParams();
  for (const name of NAMES) if (filters[name]) query.set(name, filters[name]);
  for (const [key, value] of filters.metadata ?? []) query.set(METADATA + key, value);
  const text = query.toString();
  return text ? `/sessions?${text}` : "/sessions";
}

/** What the API is asked for. @param {Filters} filters */
export function queryOf({ q, from, to, provider, language, state, metadata }) {
  return {
    q: q.trim(),
    from: midnight(from, 0),
    to: midnight(to, 1),
    provider,
    language: language.trim(),
    state,
    ...Object.fromEntries(metadata.map(([key, value]) => [METADATA + key, value])),
  };
}

/** Whether anything but the text is asked for. @param {Filters} filters */
export function narrowed(filters) {
  return NAMES.some((name) => name !== "q" && filters[name]) || filters.metadata.length > 0;
}

/** "room=7" -> ["room", "7"]; null if it is no such thing. @param {string} text */
export function pairOf(text) {
  const [key, ...rest] = text.split("=");
  return key.trim() && rest.length > 0 ? [key.trim(), rest.join("=").trim()] : null;
}

/** The instant at which a day of this place begins, or one some `later` days. */
function midnight(day, later) {
  const [, year, month, date] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day) ?? [];
  if (!year) return "";
  const begins = new Date(Number(year), Number(month) - 1, Number(date) + later);
  return begins.toISOString();
}
