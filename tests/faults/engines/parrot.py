"""A drop-in provider whose words are a function of the audio, and which fails on demand.

The audio is made of words of 0.1 s at 16 kHz: all samples of a word are its number, the last one
is negative. Zeros are silence. So wherever a stream begins, it says the same words.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
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
WORD_SAMPLES = 1600
SEGMENT = 5  # a word whose number is a multiple of it ends a final
SENTENCE = 10  # and of this one, an utterance
SILENCE = 2.0  # seconds of it that are settled by an empty final

Point = Literal["connect", "first", "middle", "before_final", "after_final", "finalize", "drain", "end"]
Kind = Literal["break", "quota", "auth", "reject", "raise", "cancel", "return", "mute", "deaf"]
_ERRORS = {
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
    verbose: int = 0
    """How many characters to add to each interim."""
    stubborn: bool = False
    """Ignore cancellation, and go on to speak."""
    forgetful: bool = False
    """Say again with each final the words of the one before."""


class _Broken(Exception):
    """The stream ends here without an error."""


class Parrot(Provider):
    """Says the words of the audio."""

    def __init__(self, options: ParrotOptions = ParrotOptions()) -> None:
        self.capabilities = Capabilities(
            word_times="exact", max_replay_speed=options.replay_speed
        )
        self.options = options
        self.streams = 0
        self.begun: list[float] = []
        self.read: list[tuple[float, float]] = []
        """When how many seconds of audio had been read, of all streams together."""
        self._read = 0.0
        self._random = random.Random(options.seed)

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield the words of ``audio``."""
        assert params.sample_rate == RATE
        loop = asyncio.get_running_loop()
        self.begun.append(loop.time())
        fault, cut_at = self._next_faults()
        strike = _Strike(fault, audio)
        speech = _Speech(self.options)
        try:
            await strike.at("connect", speech)
            async for item in audio:
                if item is Control.FINALIZE:
                    await strike.at("finalize", speech)
                    if speech.now > speech.settled:
                        yield speech.final(speech.now, endpoint=bool(speech.words))
                    yield Finalized()
                    continue
                assert isinstance(item, bytes)
                await strike.at("first", speech)
                self._note(loop.time(), len(item) / 2 / RATE)
                if self.options.speed is not None:
                    await asyncio.sleep(len(item) / 2 / RATE / self.options.speed)
                if speech.now > cut_at:
                    raise ProviderUnavailable("cut off at random")
                for word in speech.hear(item):
                    await strike.at("middle", speech)
                    number = int(word.text[1:])
                    if number % SEGMENT == 0:
                        await strike.at("before_final", speech)
                        yield speech.final(word.end, endpoint=number % SENTENCE == 0)
                        await strike.at("after_final", speech)
                    elif params.interim_results:
                        yield speech.interim(word.end)
                if not speech.words and speech.now - speech.settled >= SILENCE:
                    yield speech.final(speech.now, endpoint=False)
            await strike.at("drain", speech)
            if speech.now > speech.settled:
                yield speech.final(speech.now, endpoint=False)
            await strike.at("end", speech)
        except _Broken:
            return
        except asyncio.CancelledError:
            if not self.options.stubborn:
                raise
            for _ in range(20):
                yield speech.interim(speech.now)
                yield speech.final(speech.now, endpoint=True)
                speech.now += 1.0
                speech.words.append(Word(text="w9999", start=speech.now - 0.1, end=speech.now))

    def _next_faults(self) -> tuple[Fault | None, float]:
        options, number = self.options, self.streams
        self.streams += 1
        fault = options.faults[number] if number < len(options.faults) else options.always
        cut_at = float("inf")
        if options.cut_every is not None:
            cut_at = self._random.expovariate(1 / options.cut_every)
        if options.refuse and self._random.random() < options.refuse:
            fault = Fault(point="connect", kind="break")
        return fault, cut_at

    def _note(self, now: float, seconds: float) -> None:
        self._read += seconds
        self.read.append((now, self._read))


class _Strike:
    """Carries out a fault, once."""

    def __init__(self, fault: Fault | None, audio: AudioInput) -> None:
        self._fault = fault
        self._audio = audio

    async def at(self, point: Point, speech: _Speech) -> None:
        fault = self._fault
        if fault is None or fault.point != point or speech.count < fault.words:
            return
        self._fault = None
        if fault.kind == "return":
            raise _Broken
        if fault.kind in _ERRORS:
            raise _ERRORS[fault.kind](f"as asked: {fault.kind} at {point}")
        while fault.kind == "mute" and await self._audio.receive() is not None:
            pass
        await asyncio.get_running_loop().create_future()


class _Speech:
    """What was heard since the last final of a stream; times are seconds of its audio."""

    def __init__(self, options: ParrotOptions) -> None:
        self.settled = 0.0
        self.count = 0
        self.words: list[Word] = []
        self.now = 0.0
        self._samples = 0
        self._options = options
        self._before: list[Word] = []

    def hear(self, pcm: bytes) -> list[Word]:
        """Take audio; return the words that end in it, one at a time."""
        samples = np.frombuffer(pcm, "<i2")
        heard = []
        for at in np.flatnonzero(samples < 0):
            end = (self._samples + int(at) + 1) / RATE
            start = max(0.0, end - WORD_SAMPLES / RATE)
            heard.append(Word(text=f"w{-int(samples[at])}", start=start, end=end))
        self._samples += len(samples)
        self.now = self._samples / RATE
        return [self._add(word) for word in heard]

    def _add(self, word: Word) -> Word:
        return word

    def interim(self, end: float) -> Transcript:
        """Return what was said so far."""
        return self._transcript(end, is_final=False, endpoint=False)

    def final(self, end: float, *, endpoint: bool) -> Transcript:
        """Return what was said up to ``end``, and begin the next."""
        return self._transcript(end, is_final=True, endpoint=endpoint)

    def _transcript(self, end: float, *, is_final: bool, endpoint: bool) -> Transcript:
        raise NotImplementedError
