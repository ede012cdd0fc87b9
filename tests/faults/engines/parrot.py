"""A drop-in provider whose words are a function of the audio, and which fails on demand.

The audio is made of words of 0.1 s at 16 kHz: all samples of a word are its number, the last one
is negative. Zeros are silence. So wherever a stream begins, it says the same words.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from typing import Literal

import numpy as np

from sttgate import (
    AudioInput,
    Capabilities,
    Control,
    Finalized,
    Options,
    Provider,
    ProviderAuth,
    ProviderEvent,
    ProviderQuota,
    ProviderRejected,
    ProviderSpec,
    ProviderUnavailable,
    StreamParams,
    Transcript,
    Word,
    hookimpl,
)

RATE = 16_000
WORD_SECONDS = 0.1
SEGMENT = 5  # a word whose number is a multiple of it ends a final
SENTENCE = 10  # and of this one, an utterance
SILENCE = 2.0  # seconds of it that are settled by an empty final

Point = Literal[
    "connect", "first", "middle", "before_final", "after_final", "finalize", "drain", "end"
]
Kind = Literal["break", "quota", "auth", "reject", "raise", "cancel", "return", "mute", "deaf"]
_ERRORS: dict[str, type[BaseException]] = {
    "break": ProviderUnavailable,
    "quota": ProviderQuota,
    "auth": ProviderAuth,
    "reject": ProviderRejected,
    "raise": ZeroDivisionError,  # a mistake of the plugin
    "cancel": asyncio.CancelledError,  # what a library does whose scopes leak
}


class Fault(Options):
    """What goes wrong in a stream: at the first ``point`` after ``words`` words.

    ``mute`` reads on and says nothing more, ``deaf`` stops reading too, ``return`` ends early.
    """

    point: Point
    kind: Kind
    words: int = 0


class ParrotOptions(Options):
    """Options of the parrot."""

    faults: tuple[Fault | None, ...] = ()
    """The fault of each stream in turn, whatever its session; later ones have ``always``."""
    always: Fault | None = None
    cut_every: float | None = None
    """Break off at random, on average after this many seconds of a stream's audio."""
    refuse: float = 0.0
    """The share of streams that are refused at random."""
    seed: int = 0
    speed: float | None = None
    """How fast it reads, in times real time."""
    replay_speed: float | None = None
    """What it declares as ``max_replay_speed``."""
    padding: int = 0
    """How many characters to add to each interim."""
    stubborn: bool = False
    """Ignore cancellation, and go on to speak for a while."""
    repeats: bool = False
    """Say each final twice."""
    never_opens: bool = False
    """Get ready for ever."""


class _Ended(Exception):
    """The stream ends early, without an error."""


class Parrot(Provider):
    """Says the words of the audio. Calm, its new streams do not fail at random.

    While the loop's clock is within ``outage``, new streams are refused.

    On the loop's clock: ``begun`` tells when streams began, ``fell`` when faults struck, ``read``
    when how many seconds of audio had been read by all streams together.
    """

    def __init__(self, options: ParrotOptions) -> None:
        self.capabilities = Capabilities(word_times="exact", max_replay_speed=options.replay_speed)
        self.options = options
        self.streams = 0
        self.begun: list[float] = []
        self.read: deque[tuple[float, float]] = deque(maxlen=4000)
        self.fell: list[float] = []
        self.spoken_in_vain = 0
        self.calm = False
        self.outage = (0.0, 0.0)
        self._read = 0.0
        self._random = random.Random(options.seed)

    async def open(self) -> None:
        """Get ready, or not."""
        if self.options.never_opens:
            await asyncio.get_running_loop().create_future()

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield the words of ``audio``."""
        assert params.sample_rate == RATE
        self.begun.append(asyncio.get_running_loop().time())
        fault, cut_at = self._next_faults()
        speech = _Speech(self.options.padding if params.interim_results else None)
        try:
            if fault is not None and fault.point == "connect":
                await self._strike(fault, audio)
            async for item in audio:
                if item is not Control.FINALIZE:
                    await self._note(item)
                if speech.now > cut_at:
                    self.fell.append(asyncio.get_running_loop().time())
                    raise ProviderUnavailable("cut off at random")
                for point, event in speech.hear(item):
                    if fault is not None and fault.point == point and speech.count >= fault.words:
                        await self._strike(fault, audio)
                    if event is not None:
                        yield event
                        if self.options.repeats:
                            yield event
            for point, event in speech.end():
                if fault is not None and fault.point == point:
                    await self._strike(fault, audio)
                if event is not None:
                    yield event
        except _Ended:
            return
        except asyncio.CancelledError:
            if not self.options.stubborn:
                raise
            for number in range(40):
                await asyncio.sleep(0.1)
                end = speech.now + number
                self.spoken_in_vain += 1
                yield Transcript(text="w9999", start=end - 1, end=end, is_final=True)

    def _next_faults(self) -> tuple[Fault | None, float]:
        options, number = self.options, self.streams
        self.streams += 1
        fault = options.faults[number] if number < len(options.faults) else options.always
        cut_at = float("inf")
        begins, ends = self.outage
        if begins <= asyncio.get_running_loop().time() < ends:
            return Fault(point="connect", kind="break"), cut_at
        if self.calm:
            return fault, cut_at
        if options.cut_every is not None:
            cut_at = self._random.expovariate(1 / options.cut_every)
        if options.refuse and self._random.random() < options.refuse:
            fault = Fault(point="connect", kind="break")
        return fault, cut_at

    async def _note(self, item: bytes | Control) -> None:
        assert isinstance(item, bytes)
        seconds = len(item) / 2 / RATE
        self._read += seconds
        self.read.append((asyncio.get_running_loop().time(), self._read))
        if self.options.speed is not None:
            await asyncio.sleep(seconds / self.options.speed)

    async def _strike(self, fault: Fault, audio: AudioInput) -> None:
        self.fell.append(asyncio.get_running_loop().time())
        if fault.kind == "return":
            raise _Ended
        if fault.kind in _ERRORS:
            raise _ERRORS[fault.kind](f"as asked: {fault.kind} at {fault.point}")
        if fault.kind == "mute":
            async for _ in audio:
                pass
        await asyncio.get_running_loop().create_future()


class _Speech:
    """What one stream says, and the points of its life; times are seconds of its audio.

    ``padding`` None: no interims.
    """

    def __init__(self, padding: int | None) -> None:
        self.now = 0.0
        self.count = 0
        self._padding = padding
        self._samples = 0
        self._settled = 0.0
        self._words: list[Word] = []

    def hear(self, item: bytes | Control) -> Iterator[tuple[Point, ProviderEvent | None]]:
        """Yield what there is to say about ``item``, and what point of life that is."""
        if isinstance(item, Control):
            yield "finalize", None
            if self.now > self._settled:
                yield "finalize", self._final(self.now, endpoint=bool(self._words))
            yield "finalize", Finalized()
            return
        yield "first", None
        samples = np.frombuffer(item, "<i2")
        before, self._samples = self._samples, self._samples + len(samples)
        self.now = self._samples / RATE
        for at in np.flatnonzero(samples < 0):
            number, end = -int(samples[at]), (before + int(at) + 1) / RATE
            start = max(0.0, end - WORD_SECONDS)
            self._words.append(Word(text=f"w{number}", start=start, end=end))
            self.count += 1
            if number % SEGMENT == 0:
                yield "before_final", None
                yield "before_final", self._final(end, endpoint=number % SENTENCE == 0)
                yield "after_final", None
            else:
                yield "middle", self._interim(end)
        if not self._words and self.now - self._settled >= SILENCE:
            yield "after_final", self._final(self.now, endpoint=False)

    def end(self) -> Iterator[tuple[Point, ProviderEvent | None]]:
        """Yield the last words."""
        yield "drain", None
        if self.now > self._settled:
            yield "drain", self._final(self.now, endpoint=False)
        yield "end", None

    def _interim(self, end: float) -> Transcript | None:
        if self._padding is None:
            return None
        text = " ".join(word.text for word in self._words) + "x" * self._padding
        return Transcript(text=text, start=self._settled, end=end, is_final=False)

    def _final(self, end: float, *, endpoint: bool) -> Transcript:
        start, self._settled = self._settled, end
        words, self._words = tuple(self._words), []
        return Transcript(
            text=" ".join(word.text for word in words),
            start=start,
            end=end,
            is_final=True,
            endpoint=endpoint,
            words=words,
        )


@hookimpl
def sttgate_providers() -> list[ProviderSpec]:
    """Offer the parrot."""
    return [ProviderSpec(name="parrot", factory=Parrot, options=ParrotOptions)]
