"""From recognised words to the host's ``Transcript``: seconds, word times, the confidence threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sttgate import Transcript, Word
from sttgate_moonshine.segmenter import SAMPLE_RATE, Closed, Span, Speech

if TYPE_CHECKING:
    from sttgate_moonshine.model import Recognition, Spoken


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes the transcripts of one stream; ``punctuate`` false strips punctuation and capitals."""

    min_confidence: float
    punctuate: bool

    def interim(self, speech: Speech, said: Recognition) -> Transcript | None:
        """Return the interim for speech that goes on, None if nothing is sure enough to show."""
        words = self._words(speech, said)
        if not words:
            return None
        return _transcript(speech.start, speech.end, words, said.confidence, is_final=False)

    def final(self, closed: Closed, said: Recognition | None) -> Transcript:
        """Return the final that settles ``closed``; its text is empty if nothing was said for sure."""
        words = self._words(closed.speech, said) if closed.speech and said else ()
        confidence = said.confidence if said and words else None
        return _transcript(
            closed.start, closed.end, words, confidence, is_final=True, endpoint=closed.endpoint
        )

    def _words(self, speech: Speech, said: Recognition) -> tuple[Word, ...]:
        if said.confidence < self.min_confidence:
            return ()
        times = _spread([len(word.text) + 1 for word in said.words], speech.voiced)
        return tuple(
            Word(text=text, start=_seconds(start), end=_seconds(end), confidence=word.confidence)
            for word, (start, end) in zip(said.words, times, strict=True)
            if (text := self._text(word))
        )

    def _text(self, word: Spoken) -> str:
        return word.text if self.punctuate else word.text.strip(".,!?;:\"'()-…").lower()


def _transcript(
    start: int,
    end: int,
    words: tuple[Word, ...],
    confidence: float | None,
    *,
    is_final: bool,
    endpoint: bool = False,
) -> Transcript:
    return Transcript(
        text=" ".join(word.text for word in words),
        start=_seconds(start),
        end=_seconds(end),
        is_final=is_final,
        endpoint=endpoint,
        words=words,
        confidence=confidence,
        language="en" if words else None,
    )


def _seconds(samples: int) -> float:
    return samples / SAMPLE_RATE


def _spread(weights: Sequence[int], voiced: Sequence[Span]) -> Iterator[Span]:
    """Yield a span for each weight: its share of the voiced time, in order.

    The model tells no times, so words are laid over the voiced spans by their length: half of the
    starts are within 0.2 s of the truth, nine of ten within half a second.
    """
    total = sum(end - start for start, end in voiced)
    whole, before = sum(weights), 0
    for weight in weights:
        start, end = (total * share // whole for share in (before, before + weight))
        yield _place(voiced, start, opens=True), _place(voiced, end, opens=False)
        before += weight


def _place(voiced: Sequence[Span], offset: int, *, opens: bool) -> int:
    """Return where ``offset`` samples of voice are over; on a border, the side that ``opens`` a word."""
    for start, end in voiced:
        length = end - start
        if offset < length or (offset == length and not opens):
            return start + offset
        offset -= length
    return voiced[-1][1]
