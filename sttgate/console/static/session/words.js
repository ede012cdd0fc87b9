// From utterances with their words to lines with pieces of text, each with the time it was said at.

/**
 * A piece of a line; all pieces of it in a row are its text. Without `start` its time is not known.
 * @typedef {{text: string, start?: number, end?: number, confidence?: number|null}} Piece
 * @typedef {{key: string, start: number, end: number, label: string, provider: string|null,
 *   language: string|null, text: string, pieces: Piece[], first: boolean}} Line what one speaker says in
 *   one go; `label` is the speaker's, or that of the channel; `first`: somebody else spoke before
 */

const LETTER = /[\p{L}\p{N}]/u;

/** The lines of a session, in the order of their time. @param {Object[]} utterances @returns {Line[]} */
export function linesOf(utterances) {
  const lines = utterances.flatMap(turnsOf);
  return lines.map((line, i) => ({ ...line, first: line.label !== lines[i - 1]?.label }));
}

/** What to call a speaker. @param {string} label @param {Object<string, string>} names */
export function nameOfSpeaker(label, names) {
  return names[label] || (/^\d+$/.test(label) ? `Speaker ${label}` : label);
}

function turnsOf(utterance) {
  const turns = [];
  for (const piece of piecesOf(utterance)) {
    const label = piece.speaker ?? utterance.speaker ?? `Channel ${utterance.channel + 1}`;
    const timed = piece.start !== undefined;
    let turn = turns.at(-1);
    if (timed && turn && !turn.pieces.some(({ start }) => start !== undefined)) turn.label = label;
    if (!turn || (timed && turn.label !== label)) {
      const key = `${utterance.number}.${turns.length}`;
      const start = turn ? piece.start : utterance.start;
      const { end, provider, language } = utterance;
      turn = { key, start, end, label, provider, language, text: "", pieces: [] };
      turns.push(turn);
    }
    turn.pieces.push(piece);
    turn.text += piece.text;
  }
  for (const [i, turn] of turns.entries()) turn.end = turns[i + 1]?.start ?? utterance.end;
  return turns;
}

/**
 * The text, cut where its words begin and end. The text is what counts: engines give words without
 * their punctuation, or spelled another way.
 * @returns {Piece[]}
 */
export function piecesOf({ text, words }) {
  const said = words.filter((word) => word.text.trim());
  if (said.length === 0) return [{ text }];
  const spans = spansByToken(text, said) ?? spansBySearch(text, said);
  const pieces = [];
  let at = 0;
  for (const [from, to, word] of spans) {
    if (from > at) pieces.push({ text: text.slice(at, from) });
    const { start, end, confidence, speaker } = word;
    pieces.push({ text: text.slice(from, to), start, end, confidence, speaker: speaker ?? undefined });
    at = to;
  }
  if (at < text.length || pieces.length === 0) pieces.push({ text: text.slice(at) });
  return pieces;
}

/** As many words as there are between spaces: one is the other. */
function spansByToken(text, words) {
  const tokens = [...text.matchAll(/\S+/g)];
  if (tokens.length !== words.length) return null;
  return tokens.map((token, i) => [token.index, token.index + token[0].length, words[i]]);
}

/** Each word where it is next, with no other word in between; one that is not there is left out. */
function spansBySearch(text, words) {
  const lower = text.toLowerCase();
  const folded = lower.length === text.length ? lower : text;
  const spans = [];
  let at = 0;
  for (const word of words) {
    const spelled = word.text.trim();
    const from = folded.indexOf(folded === text ? spelled : spelled.toLowerCase(), at);
    if (from < 0 || LETTER.test(text.slice(at, from))) continue;
    at = from + spelled.length;
    spans.push([from, at, word]);
  }
  return spans;
}
