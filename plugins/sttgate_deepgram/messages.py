"""What Deepgram sends, as typed structs, and how its results become transcripts.

Fields are those of Deepgram's ``/v1/listen`` reference that sttgate uses; others are skipped
unparsed. Only what a message is useless without is required.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import msgspec

from sttgate import Transcript, Word


class ResultWord(msgspec.Struct, gc=False):
    """One word; ``punctuated_word`` comes with ``punctuate`` and ``smart_format``."""

    word: str
    start: float
    end: float
    confidence: float | None = None
    punctuated_word: str | None = None
    speaker: int | None = None


class Alternative(msgspec.Struct, gc=False):
    """One reading of the audio; ``languages`` comes with ``language=multi``, dominant one first."""

    transcript: str
    confidence: float | None = None
    words: list[ResultWord] = []
    languages: list[str] | None = None


class Channel(msgspec.Struct, gc=False):
    """The readings of one channel, best first."""

    alternatives: list[Alternative]


class Results(msgspec.Struct, tag_field="type", tag="Results", gc=False):
    """A transcript of ``[start, start + duration]`` seconds."""

    start: float
    duration: float
    channel: Channel
    is_final: bool | None = None
    speech_final: bool | None = None
    from_finalize: bool | None = None


class SpeechBegan(msgspec.Struct, tag_field="type", tag="SpeechStarted", gc=False):
    """Speech began at ``timestamp`` seconds."""

    timestamp: float


class GapFound(msgspec.Struct, tag_field="type", tag="UtteranceEnd", gc=False):
    """No word has followed the one that ended at ``last_word_end`` seconds, -1 for none."""

    last_word_end: float


class Metadata(msgspec.Struct, tag_field="type", tag="Metadata", gc=False):
    """The last message before the server closes."""


class Complaint(msgspec.Struct, tag_field="type", tag="Error", gc=False):
    """Something was wrong with what we sent; the stream may go on."""

    variant: str | None = None
    code: str | None = None


Message = Results | SpeechBegan | GapFound | Metadata | Complaint


class _Envelope(msgspec.Struct):
    type: str


NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are none, or not of the type that is asked for."""

_message = msgspec.json.Decoder(Message)
_envelope = msgspec.json.Decoder(_Envelope)
_KNOWN = {"Results", "SpeechStarted", "UtteranceEnd", "Metadata", "Error"}


class Malformed(Exception):
    """A message is not JSON, has no type, or lacks what its type requires."""


def decode(raw: bytes) -> Message | None:
    """Return the message in ``raw``, None for a type this plugin does not know; raises Malformed."""
    try:
        message: Message = _message.decode(raw)
        return message
    except NO_JSON as error:
        try:
            kind = _envelope.decode(raw).type
        except NO_JSON:
            kind = None
        if kind is None or kind in _KNOWN:
            raise Malformed from error
        return None


def transcript(results: Results, settled: float, heard: float) -> Transcript:
    """Return ``results`` as a transcript between ``settled`` and ``heard`` seconds.

    Deepgram prints float32, so its times are rounded to milliseconds and kept from overlapping
    what is settled or running past the audio that was sent.
    """
    alternatives = results.channel.alternatives
    best = alternatives[0] if alternatives else Alternative("")
    final = bool(results.is_final)
    speakers = {word.speaker for word in best.words}
    start = _within(results.start, settled, heard)
    end = _within(results.start + results.duration, start, heard)
    return Transcript(
        text=best.transcript,
        start=start,
        end=end,
        is_final=final,
        endpoint=final and bool(results.speech_final),
        words=_words(best.words, start, end) if final else _Words(best.words, start, end),
        confidence=best.confidence if best.transcript else None,
        language=best.languages[0] if best.languages else None,
        speaker=_label(speakers.pop()) if len(speakers) == 1 else None,
    )


class _Words(Sequence[Word]):
    """Words that are made when somebody looks: interims have many, and seldom a reader for them."""

    __slots__ = ("_found", "_made", "_span")

    def __init__(self, found: list[ResultWord], start: float, end: float) -> None:
        self._found = found
        self._span = start, end
        self._made: tuple[Word, ...] | None = None

    def _all(self) -> tuple[Word, ...]:
        if self._made is None:
            self._made = _words(self._found, *self._span)
        return self._made

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> Word: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Word, ...]: ...

    def __getitem__(self, index: int | slice) -> Word | tuple[Word, ...]:
        return self._all()[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._all() == tuple(other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())


def _words(found: Iterable[ResultWord], start: float, end: float) -> tuple[Word, ...]:
    """Return words, kept within their transcript."""
    words = []
    for word in found:
        # ``_within`` written out for times that are in order, which is most and there are many.
        begin, until = round(word.start * 1000) / 1000, round(word.end * 1000) / 1000
        if not start <= begin <= until <= end:
            begin = _within(begin, start, end)
            until = _within(until, begin, end)
        words.append(
            Word(
                text=word.punctuated_word or word.word,
                start=begin,
                end=until,
                confidence=word.confidence,
                speaker=_label(word.speaker),
            )
        )
    return tuple(words)


def _label(speaker: int | None) -> str | None:
    return None if speaker is None else str(speaker)


def _within(seconds: float, low: float, high: float) -> float:
    """Return ``seconds`` in whole milliseconds, kept between two bounds that may be finer."""
    if seconds <= low:
        return low
    if seconds >= high:
        return high
    seconds = round(seconds * 1000) / 1000  # ten times faster than round(seconds, 3)
    return low if seconds < low else min(seconds, high)
