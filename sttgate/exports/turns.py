"""Who says what, word for word with its time: the same for every format."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING

from sttgate.exports.characters import clean

if TYPE_CHECKING:
    from sttgate.events import Word
    from sttgate.stores import Conversation, Utterance

_LETTER = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Piece:
    """A word with its punctuation; a space goes before it if it is ``spaced``. Times are seconds.

    ``label`` is that of the speaker.
    """

    text: str
    start: float
    end: float
    spaced: bool = True
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says in one go, at most an utterance; ``speaker`` is a name to show."""

    speaker: str
    channel: int
    pieces: Sequence[Piece]

    @property
    def text(self) -> str:
        """The words on one line."""
        return join(self.pieces)


def turns(conversation: Conversation) -> list[Turn]:
    """Return the turns of a conversation, in the order they begin."""
    names = conversation.session.speakers
    utterances = sorted(conversation.utterances, key=lambda u: (u.start, u.number))
    return [
        Turn(_name(label, utterance.channel, names), utterance.channel, tuple(pieces))
        for utterance in utterances
        for label, pieces in groupby(cut(utterance), key=lambda piece: piece.label)
    ]


def speakers(said: Iterable[Turn]) -> list[str]:
    """Return the names of those who speak, in order of appearance."""
    return list(dict.fromkeys(turn.speaker for turn in said))


def join(pieces: Iterable[Piece]) -> str:
    """Return pieces as text on one line."""
    return "".join(f" {p.text}" if p.spaced else p.text for p in pieces).strip()


def cut(utterance: Utterance) -> list[Piece]:
    """Return an utterance as timed pieces that make up its whole text.

    The text is what counts. It need not be spelled like the words, which give times and speakers;
    where it differs, and without words, a piece gets the time of its share of the characters.
    """
    text = clean(utterance.text)
    words = [word for word in utterance.words if clean(word.text)]
    tokens = text.split()
    if words and len(words) == len(tokens):
        return [_said(word, token, utterance) for word, token in zip(words, tokens, strict=True)]
    if words and (places := _places(text, words)):
        spaced = [at == 0 or text[at - 1] == " " for at in places]
        slices = (text[a:b].strip() for a, b in pairwise([*places, len(text)]))
        return [
            replace(_said(word, part, utterance), spaced=space)
            for word, part, space in zip(words, slices, spaced, strict=True)
        ]
    return list(_shared_out(tokens, utterance, words))


def _said(word: Word, text: str, utterance: Utterance) -> Piece:
    return Piece(text, word.start, word.end, label=word.speaker or utterance.speaker)


def _places(text: str, words: Sequence[Word]) -> list[int]:
    """Return where in ``text`` the part of each word begins; nothing if they are not all there."""
    places, at = [0], 0
    for word in words:
        found = _find(text, clean(word.text), at)
        if found is None:
            return []
        start, end = found
        if at:  # punctuation stays with the word it touches
            space = text.rfind(" ", at, start)
            places.append(start if space < 0 else space + 1)
        at = end
    return [] if _LETTER.search(text, at) else places


def _find(text: str, spelled: str, at: int) -> tuple[int, int] | None:
    """Return from where to where ``text`` has a word after ``at``, with no letter in between."""
    start = text.find(spelled, at)
    if start >= 0 and not _LETTER.search(text, at, start):
        return start, start + len(spelled)
    match = re.compile(rf"\W*?({re.escape(spelled)})", re.IGNORECASE).match(text, at)
    return match and match.span(1)


def _shared_out(
    tokens: Sequence[str], utterance: Utterance, words: Sequence[Word]
) -> Iterator[Piece]:
    """Yield the tokens, each in the place it has among the characters of the words."""
    spans = [(w.start, w.end, w.speaker, len(w.text)) for w in words] or [
        (utterance.start, utterance.end, None, 1)
    ]
    ends = list(accumulate(length for *_, length in spans))

    def at(share: float) -> tuple[float, str | None]:
        n = min(bisect_right(ends, share * ends[-1]), len(spans) - 1)
        start, end, speaker, length = spans[n]
        inside = min(1.0, (share * ends[-1] - (ends[n] - length)) / length)
        return start + inside * (end - start), speaker

    total, done = sum(map(len, tokens)), 0
    for token in tokens:
        start, speaker = at(done / total)
        done += len(token)
        yield Piece(token, start, at(done / total)[0], label=speaker or utterance.speaker)


def _name(label: str | None, channel: int, names: Mapping[str, str]) -> str:
    """Return what to call a speaker; a channel without labels is named like one."""
    label = label or f"Channel {channel + 1}"
    fallback = f"Speaker {label}" if label.isdecimal() else label
    return clean(names.get(label, "")) or clean(fallback)
