"""From what a provider says about its stream to what the session says: pure, one channel each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from msgspec import UNSET

from sttgate import events
from sttgate.errors import ProviderProtocol
from sttgate.session import entries
from sttgate.session.entries import AnyEntry, UtteranceEndReason

MAX_UTTERANCE = 60.0  # seconds; without endpoints a session would be one endless utterance
MAX_FINAL = 1 << 20  # characters; days of speech
MAX_INTERIM = 16 << 20  # characters; a client takes no longer message either
MAX_WORDS = 50_000
MAX_LABEL = 200  # characters
_LONGEST = 1e9  # seconds
_TOLERANCE = 0.001  # seconds; vendors print times as 32-bit floats


@dataclass(slots=True)
class SaidBefore:
    """What a channel's log says at the moment its session is taken up again.

    ``open`` is the number of an utterance without an end, ``start`` its start.
    """

    settled: float = 0.0
    open: int | None = None
    start: float = 0.0


class UtteranceBuilder:
    """Puts times on the session clock, numbers utterances, closes each once, lets no word by twice.

    ``numbers`` is shared by the channels of a session. ``settled`` is the session time up to which
    everything is final.
    """

    def __init__(self, channel: int, numbers: Iterator[int]) -> None:
        self.settled = 0.0
        self._channel = channel
        self._numbers = numbers
        self._reserved: int | None = None
        self._open = False
        self._start = self._end = 0.0
        self._offset = 0.0

    def restore(self, said: SaidBefore) -> None:
        """Go on after what was said before."""
        self.settled = said.settled
        if said.open is not None:
            self._open, self._reserved, self._start = True, said.open, said.start
            self._end = said.settled

    def begin_stream(self, offset: float) -> None:
        """Say that the next events count their time from session time ``offset``."""
        self._offset = offset

    def transcript(
        self,
        event: events.Transcript,
        heard: float,
        *,
        finalizing: bool = False,
        interim_words: bool = True,
    ) -> list[AnyEntry]:
        """Return the entries for an interim or a final, which cannot end after session time ``heard``.

        ``finalizing``: a final answers a finalize. ``interim_words``: interims have words too. Raises
        ProviderProtocol for what is not what it says it is.
        """
        words = event.is_final or interim_words
        _check(event, words=words)
        text = _clean(event.text).strip()
        start = max(self._offset + event.start, self.settled)
        end = self._offset + event.end
        if not event.is_final:
            if not text or end <= self.settled:
                return []
            return [self._entry(event, text, start, end, words=words)]
        if text and end <= self.settled + _TOLERANCE:
            return []  # said before, by the stream this one replaced
        # Engines that pad their audio say that it ends later than it does.
        start, end = min(start, heard), min(end, heard)
        self.settled = max(self.settled, end)
        result: list[AnyEntry] = []
        if text:
            if not self._open:
                self._open, self._start = True, start
            self._end = end
            result.append(self._entry(event, text, start, end, words=words))
        if event.endpoint:
            result += self.close("finalize" if finalizing else "endpoint")
        elif self._open and end - self._start > MAX_UTTERANCE:
            result += self.close("timeout")
        return result

    def spoken_from(self, event: events.Transcript) -> float:
        """Return when its first word begins on the session clock, as far as the provider tells."""
        return self._offset + (event.words[0].start if event.words else event.start)

    def utterance_end(self, event: events.UtteranceEnd) -> list[AnyEntry]:
        """Return the end of the open utterance, unless the event is a late one about an older."""
        _check_times(event.at)
        if self._offset + event.at < self._start - _TOLERANCE:
            return []
        return self.close("timeout")

    def speech_started(self, event: events.SpeechStarted) -> list[AnyEntry]:
        """Return the entry for the begin of speech; what is settled already did not just begin."""
        _check_times(event.at)
        at = self._offset + event.at
        if at < self.settled - _TOLERANCE:
            return []
        return [entries.SpeechStarted(t=_round(at), channel=self._channel)]

    def settle(self, upto: float) -> None:
        """Say that there are no more words before session time ``upto``."""
        self.settled = max(self.settled, upto)

    def close(self, reason: UtteranceEndReason) -> list[AnyEntry]:
        """Return the end of the open utterance, if one is open."""
        if not self._open:
            return []
        self._open = False
        number, self._reserved = self._number(), None
        return [
            entries.UtteranceEnd(
                utterance_id=number,
                start=_round(self._start),
                end=_round(self._end),
                channel=self._channel,
                reason=reason,
            )
        ]

    def _entry(
        self, event: events.Transcript, text: str, start: float, end: float, *, words: bool
    ) -> entries.Transcript:
        return entries.Transcript(
            text=text,
            is_final=event.is_final,
            utterance_id=self._number(),
            start=_round(start),
            end=_round(end),
            channel=self._channel,
            speaker=event.speaker and _clean(event.speaker),
            language=event.language and _clean(event.language),
            confidence=_confidence(event.confidence),
            speech_final=event.endpoint,
            words=self._words(event.words) if words else UNSET,
        )

    def _words(self, words: Iterable[events.Word]) -> list[entries.Word]:
        offset = self._offset
        return [
            entries.Word(
                word=_clean(word.text),
                start=_round(offset + word.start),
                end=_round(offset + word.end),
                confidence=_confidence(word.confidence),
                speaker=word.speaker and _clean(word.speaker),
            )
            for word in words
        ]

    def _number(self) -> int:
        if self._reserved is None:
            self._reserved = next(self._numbers)
        return self._reserved


def _round(seconds: float) -> float:
    return round(float(seconds) * 1000) / 1000  # ten times faster than round(seconds, 3)


def _confidence(value: float | None) -> float | None:
    return None if value is None else round(float(value) * 10_000) / 10_000


def _check(event: events.Transcript, *, words: bool) -> None:
    """Refuse what the types forbid, before it is in the log: engines pass on what vendors send."""
    if not _is_plain(event):
        _check_times(event.start, event.end)
        _check_text(event.text, MAX_FINAL if event.is_final else MAX_INTERIM)
        if not (type(event.is_final) is bool is type(event.endpoint)):
            raise ProviderProtocol("a transcript does not say whether it is final")
        _check_labels(event.confidence, event.speaker, event.language)
    if words:
        _check_words(event.words)


def _is_plain(event: events.Transcript) -> bool:
    """Whether all but its words is beyond doubt what it should be; nearly all are, and quick to know."""
    return (
        type(event.text) is str
        and len(event.text) <= MAX_FINAL
        and type(event.start) is float
        and -_LONGEST < event.start < _LONGEST
        and type(event.end) is float
        and -_LONGEST < event.end < _LONGEST
        and type(event.is_final) is bool
        and type(event.endpoint) is bool
        and (event.confidence is None or type(event.confidence) is float)
        and (event.confidence is None or -_LONGEST < event.confidence < _LONGEST)
        and event.speaker is None
        and event.language is None
    )


def _check_words(words: Sequence[events.Word]) -> None:
    if not isinstance(words, Sequence) or len(words) > MAX_WORDS:
        raise ProviderProtocol(f"the words of a transcript are no sequence of at most {MAX_WORDS}")
    for word in words:
        if not _is_plain_word(word):
            _check_word(word)


def _is_plain_word(word: events.Word) -> bool:
    return (
        type(word) is events.Word
        and type(word.text) is str
        and len(word.text) <= MAX_LABEL
        and type(word.start) is float
        and -_LONGEST < word.start < _LONGEST
        and type(word.end) is float
        and -_LONGEST < word.end < _LONGEST
        and (word.confidence is None or type(word.confidence) is float)
        and (word.confidence is None or -_LONGEST < word.confidence < _LONGEST)
        and word.speaker is None
    )


def _check_word(word: events.Word) -> None:
    if not isinstance(word, events.Word):
        raise ProviderProtocol("the words of a transcript are no words")
    _check_times(word.start, word.end)
    _check_text(word.text, MAX_FINAL)
    _check_labels(word.confidence, word.speaker)


def _check_times(*times: float) -> None:
    """Refuse what no clock says: NaN would make the log unreadable."""
    for seconds in times:
        if not _is_number(seconds):
            raise ProviderProtocol("an event has times that are not seconds of its stream")


def _is_number(value: Any) -> bool:
    """Whether it is one a clock may show; numpy's count, infinity and NaN do not."""
    if type(value) is float:  # nearly always, and much quicker to know
        return -_LONGEST < value < _LONGEST
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    number: Any = value  # the numeric tower has no static types
    return bool(-_LONGEST < number < _LONGEST)


def _check_text(text: str, most: int) -> None:
    if not isinstance(text, str) or len(text) > most:
        raise ProviderProtocol(f"a transcript has no text of at most {most} characters")


def _check_labels(confidence: float | None, *labels: str | None) -> None:
    if confidence is not None and not _is_number(confidence):
        raise ProviderProtocol("a confidence is no number")
    for label in labels:
        if label is not None and not (isinstance(label, str) and len(label) <= MAX_LABEL):
            raise ProviderProtocol("a speaker or a language is no short text")


def _clean(text: str) -> str:
    """Replace half characters (lone surrogates), which no UTF-8 encoder takes."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
