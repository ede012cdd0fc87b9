// Numbers for people.

/** 65.3 -> "1:05", 3661 -> "1:01:01". @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(s).padStart(2, "0");
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${tail}` : `${m}:${tail}`;
}

/** 65 -> "1 minute 5 seconds", to be read aloud. @param {number} seconds */
export function spoken(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [
    [Math.floor(whole / 3600), "hour"],
    [Math.floor(whole / 60) % 60, "minute"],
    [whole % 60, "second"],
  ];
  const said = parts.filter(([n]) => n > 0).map(([n, unit]) => count(n, unit));
  return said.join(" ") || "0 seconds";
}

const GAP = "\u00a0"; // keeps a unit on the line of its number

/** 1234567 -> "1.2 MB", 500 -> "500 bytes". @param {number} n */
export function bytes(n) {
  if (n < 1000) return count(n, "byte");
  const power = Math.min(4, Math.floor(Math.log10(n) / 3));
  const value = n / 1000 ** power;
  const digits = value < 9.95 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
  return `${digits}${GAP}${["kB", "MB", "GB", "TB"][power - 1]}`;
}

/** 0.456 -> "45 %": never 100 % of what is not all. @param {number} part */
export function percent(part) {
  return `${Math.floor(100 * part)}${GAP}%`;
}

/** 0.0123 -> "12 ms", 1.23 -> "1.2 s". @param {number} value in seconds */
export function latency(value) {
  if (value >= 0.995) return seconds(value);
  return value < 0.00095 ? `< 1${GAP}ms` : `${Math.round(1000 * value)}${GAP}ms`;
}

/** How long something has lasted, roughly: "40 s", "5 min", "3 h", "12 days". @param {number} value */
export function roughly(value) {
  if (value < 90) return `${Math.round(value)}${GAP}s`;
  if (value < 5400) return `${Math.round(value / 60)}${GAP}min`;
  if (value < 129_600) return `${Math.round(value / 3600)}${GAP}h`;
  return count(Math.round(value / 86_400), "day");
}

/** 1.234 -> "1.2 s", 12.6 -> "13 s". @param {number} value */
export function seconds(value) {
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} s`;
}

/** (1, "word") -> "1 word", (2, "word") -> "2 words". @param {number} n @param {string} unit */
export function count(n, unit) {
  return `${n.toLocaleString("en")} ${unit}${n === 1 ? "" : "s"}`;
}

const DAY = { weekday: "long", day: "numeric", month: "long", year: "numeric" };
const SHORT_DAY = { day: "numeric", month: "short", year: "numeric" };
const TIME = { hour: "2-digit", minute: "2-digit" };

/** The day of an instant: "Today", "Yesterday", "Wednesday 25 November 2026". @param {string} instant */
export function day(instant) {
  const now = new Date();
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  const then = new Date(instant);
  const days = Math.round((midnight - new Date(then.getFullYear(), then.getMonth(), then.getDate())) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return then.toLocaleDateString("en-GB", DAY);
}

/** "14:05". @param {string} instant */
export function timeOfDay(instant) {
  return new Date(instant).toLocaleTimeString("en-GB", TIME);
}

/** "25 Nov 2026, 14:05". @param {string} instant */
export function dayAndTime(instant) {
  return `${new Date(instant).toLocaleDateString("en-GB", SHORT_DAY)}, ${timeOfDay(instant)}`;
}
