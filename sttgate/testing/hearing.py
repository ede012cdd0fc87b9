"""One stream, heard for a test: audio that knows how much of it was read, and rules for the events."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise

from sttgate.events import Finalized, ProviderEvent, SpeechStarted, Transcript, UtteranceEnd
from sttgate.provider import Control, Provider, StreamParams
from sttgate.testing.scripted import ScriptedAudio

TOLERANCE = 0.05
"""Seconds by which times may be off: rounding, and frames of an engine."""
COVERED = 0.25
"""Seconds by which the last final may miss the moment it has to cover."""


class MeteredAudio(ScriptedAudio):
    """Scripted audio that counts the seconds it has handed out, at most ``speed`` times real time."""

    def __init__(
        self,
        items: Iterable[bytes | Control] | None = None,
        *,
        sample_rate: int,
        speed: float | None = None,
    ) -> None:
        super().__init__(items)
        self._bytes_per_second = 2 * sample_rate
        self._speed = speed
        self._due = 0.0
        self._read = 0

    @property
    def seconds(self) -> float:
        """How much audio was read."""
        return self._read / self._bytes_per_second

    async def receive(self) -> bytes | Control | None:
        """Return the next item, or None after the end."""
        now = asyncio.get_running_loop().time
        if self._speed is not None and (early := self._due - now()) > 0:
            await asyncio.sleep(
                early
            )  # before anything is taken, so that nothing is lost by cancelling
        item = await super().receive()
        if isinstance(item, bytes):
            self._read += len(item)
            if self._speed is not None:
                self._due = max(self._due, now()) + len(item) / self._bytes_per_second / self._speed
        return item


@dataclass(frozen=True)
class Heard:
    """The events of one stream, with the seconds of audio the provider had read at each of them."""

    moments: list[tuple[float, ProviderEvent]] = field(default_factory=list)

    @property
    def events(self) -> list[ProviderEvent]:
        """All events in order."""
        return [event for _, event in self.moments]

    @property
    def finals(self) -> list[Transcript]:
        """The finals in order."""
        return [e for e in self.events if isinstance(e, Transcript) and e.is_final]

    @property
    def interims(self) -> list[Transcript]:
        """The interims in order."""
        return [e for e in self.events if isinstance(e, Transcript) and not e.is_final]

    @property
    def words(self) -> list[str]:
        """The words of all finals, case and punctuation left out."""
        return re.findall(r"\w+", " ".join(final.text for final in self.finals).casefold())

    @property
    def settled(self) -> float:
        """Seconds up to where the finals reach."""
        return max((final.end for final in self.finals), default=0.0)


async def hear(
    provider: Provider, audio: MeteredAudio, params: StreamParams, into: Heard | None = None
) -> Heard:
    """Iterate one stream to its end, the way the gateway does."""
    heard = Heard() if into is None else into
    async with aclosing(provider.transcribe(audio, params)) as stream:
        async for event in stream:
            heard.moments.append((audio.seconds, event))
    return heard


def pieces(pcm: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """Cut ``pcm`` into pieces of ``sizes`` bytes, over and over."""
    at, cycle = 0, list(sizes)
    while at < len(pcm):
        for size in cycle:
            if piece := pcm[at : at + size]:
                yield piece
            at += size


# -- the rules; each yields a sentence for each offence -------------------------------------------


def finals_in_disorder(heard: Heard) -> Iterator[str]:
    """Finals that overlap, go back, or end before they start."""
    settled = 0.0
    for final in heard.finals:
        if final.end < final.start:
            yield f"a final ends at {final.end:.2f} s, before its start at {final.start:.2f} s"
        if final.start < settled - TOLERANCE:
            yield f"a final starts at {final.start:.2f} s, but {settled:.2f} s were settled before it"
        settled = max(settled, final.end)


def interims_in_disorder(heard: Heard) -> Iterator[str]:
    """Interims about audio that a final has settled."""
    settled = 0.0
    for event in heard.events:
        if not isinstance(event, Transcript):
            continue
        if event.is_final:
            settled = max(settled, event.end)
        elif event.start < settled - TOLERANCE:
            yield (
                f"an interim starts at {event.start:.2f} s, "
                f"but {settled:.2f} s were settled by a final before it"
            )


def times_beyond(heard: Heard) -> Iterator[str]:
    """Times before the stream began, or after what the provider had read when it said so."""
    for read, event in heard.moments:
        for time in _times(event):
            if time < -1e-6:
                yield f"{type(event).__name__} has the time {time:.2f} s, before the stream began"
            if time > read + TOLERANCE:
                yield f"{type(event).__name__} has the time {time:.2f} s after {read:.2f} s of audio"


def _times(event: ProviderEvent) -> list[float]:
    if isinstance(event, Transcript):
        inside = [time for word in event.words for time in (word.start, word.end)]
        return [event.start, event.end, *inside]
    return [event.at] if isinstance(event, SpeechStarted | UtteranceEnd) else []


def words_in_disorder(heard: Heard) -> Iterator[str]:
    """Words outside their final, or out of order."""
    for final in heard.finals:
        times = [time for word in final.words for time in (word.start, word.end)]
        if any(later < earlier - TOLERANCE for earlier, later in pairwise(times)):
            yield f"the words of the final at {final.start:.2f} s are not in order of time"
        if times and (min(times) < final.start - TOLERANCE or max(times) > final.end + TOLERANCE):
            yield f"words of the final at {final.start:.2f} s lie outside of it"


def left_open(heard: Heard) -> Iterator[str]:
    """An interim that no final has replaced at the end."""
    open_until = max((interim.end for interim in heard.interims if interim.text), default=0.0)
    if open_until > heard.settled + COVERED:
        yield (
            f"interims said something up to {open_until:.2f} s, finals reach only "
            f"{heard.settled:.2f} s"
        )


def unsettled_by_finalize(heard: Heard, asked: float) -> Iterator[str]:
    """What a ``Finalized`` for ``asked`` seconds of audio promised and is not so."""
    before: list[Transcript] = []
    answered = False
    for event in heard.events:
        if isinstance(event, Finalized):
            answered = True
        elif isinstance(event, Transcript) and not answered:
            before.append(event)
        elif isinstance(event, Transcript) and event.start < asked - COVERED:
            yield (
                f"a transcript from {event.start:.2f} s came after Finalized, "
                f"which settled {asked:.2f} s"
            )
    settled = max((event.end for event in before if event.is_final), default=0.0)
    if before and settled < asked - COVERED:
        yield f"Finalized came when finals covered {settled:.2f} s of {asked:.2f} s"
