"""From what a provider says about its stream to what the session says: pure, one channel each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sttgate import events
from sttgate.errors import ProviderProtocol
from sttgate.session import entries
from sttgate.session.entries import AnyEntry, UtteranceEndReason

MAX_UTTERANCE = 60.0  # seconds; without endpoints a session would be one endless utterance
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
        self, event: events.Transcript, heard: float, *, finalizing: bool = False
    ) -> list[AnyEntry]:
        """Return the entries for an interim or a final, which cannot end after session time ``heard``.

        Raises ProviderProtocol for times that are not numbers.
        """
        _check_times(event)
        text = _clean(event.text).strip()
        start = max(self._offset + event.start, self.settled)
        end = self._offset + event.end
        if not event.is_final:
            return [self._entry(event, text, start, end)] if text and end > self.settled else []
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
            result.append(self._entry(event, text, start, end))
        if event.endpoint:
            result += self.close("finalize" if finalizing else "endpoint")
        elif self._open and end - self._start > MAX_UTTERANCE:
            result += self.close("timeout")
        return result

    def utterance_end(self, event: events.UtteranceEnd) -> list[AnyEntry]:
        """Return the end of the open utterance, unless the event is a late one about an older."""
        if self._offset + event.at < self._start - _TOLERANCE:
            return []
        return self.close("timeout")

    def speech_started(self, event: events.SpeechStarted) -> list[AnyEntry]:
        """Return the entry for the begin of speech; what is settled already did not just begin."""
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
        self, event: events.Transcript, text: str, start: float, end: float
    ) -> entries.Transcript:
        offset = self._offset
        return entries.Transcript(
            text=text,
            is_final=event.is_final,
            utterance_id=self._number(),
            start=_round(start),
            end=_round(end),
            channel=self._channel,
            speaker=event.speaker,
            language=event.language,
            confidence=_confidence(event.confidence),
            speech_final=event.endpoint,
            words=[
                entries.Word(
                    word=_clean(word.text),
                    start=_round(offset + word.start),
                    end=_round(offset + word.end),
                    confidence=_confidence(word.confidence),
                    speaker=word.speaker,
                )
                for word in event.words
            ],
        )

    def _number(self) -> int:
        if self._reserved is None:
            self._reserved = next(self._numbers)
        return self._reserved


def _round(seconds: float) -> float:
    return round(seconds * 1000) / 1000  # ten times faster than round(seconds, 3)


def _confidence(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(value * 10_000) / 10_000


def _check_times(event: events.Transcript) -> None:
    """Refuse what no clock says: NaN would make the log unreadable."""
    total = event.start + event.end
    for word in event.words:
        total += word.start + word.end
    if not math.isfinite(total):  # so is any sum with a part that is not finite
        raise ProviderProtocol("a transcript has times that are not numbers")


def _clean(text: str) -> str:
    """Replace half characters (lone surrogates), which no UTF-8 encoder takes."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
