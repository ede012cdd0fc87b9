"""The echo provider: a fake engine for offline testing, a pure function of the audio it gets.

By default it says how much it heard; with a script it speaks that, in step with the audio.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from sttgate import (
    AudioInput,
    Capabilities,
    Control,
    Finalized,
    Options,
    Provider,
    ProviderAuth,
    ProviderError,
    ProviderEvent,
    ProviderQuota,
    ProviderRejected,
    ProviderSpec,
    ProviderUnavailable,
    SpeechStarted,
    StreamParams,
    Transcript,
    Word,
    hookimpl,
)

_STEP = 0.1  # seconds of audio between two interims of the default text
_SEGMENT = 5.0  # seconds of audio in a final of the default text, and of silence in an empty final
_EPSILON = 1e-9
_ERRORS: dict[str, type[ProviderError]] = {
    "unavailable": ProviderUnavailable,
    "auth": ProviderAuth,
    "quota": ProviderQuota,
    "rejected": ProviderRejected,
}


class EchoOptions(Options):
    """Options of the echo provider."""

    script: tuple[str, ...] = ()
    """Sentences to speak in step with the audio; empty: say how much was heard."""
    words_per_second: Annotated[float, Field(gt=0, le=100)] = 2.5
    """How fast the script is spoken."""
    pause: Annotated[float, Field(ge=0)] = 0.6
    """Seconds of silence after each sentence of the script."""
    repeat: bool = False
    """Start the script again when it is over."""
    refuse: bool = False
    """Fault: refuse every stream."""
    die_after: Annotated[float, Field(gt=0)] | None = None
    """Fault: break off after this many seconds of audio."""
    stall_after: Annotated[float, Field(gt=0)] | None = None
    """Fault: stop reading and speaking after this many seconds of audio, without an error."""
    delay: Annotated[float, Field(ge=0)] = 0.0
    """Fault: be slow, this many seconds before each event."""
    error: Literal["unavailable", "auth", "quota", "rejected"] = "unavailable"
    """The kind of error ``refuse`` and ``die_after`` end with."""


class Voice(ABC):
    """What the echo says about ``[0, now)`` seconds of audio; one per stream."""

    settled = 0.0

    @abstractmethod
    def advance(self, now: float) -> Iterator[ProviderEvent]:
        """Yield what there is to say once the audio has reached ``now``."""

    @abstractmethod
    def settle(self, now: float) -> Iterator[ProviderEvent]:
        """Yield the final for what is open, so that all up to ``now`` is settled."""

    def _final(self, text: str, end: float, words: tuple[Word, ...] = ()) -> Transcript:
        start, self.settled = self.settled, end
        return Transcript(
            text=text,
            start=start,
            end=end,
            is_final=True,
            endpoint=True,
            words=words,
            confidence=1.0,
        )


class Counting(Voice):
    """Says how many seconds it heard."""

    def __init__(self) -> None:
        self._said = 0

    def advance(self, now: float) -> Iterator[ProviderEvent]:
        """Yield an interim each 0.1 s of audio and a final each 5 s."""
        while now >= self.settled + _SEGMENT - _EPSILON:
            yield from self.settle(self.settled + _SEGMENT)
        if (steps := int(now / _STEP + _EPSILON)) > self._said:
            self._said = steps
            if (end := steps * _STEP) > self.settled + _EPSILON:
                text = self._text(end - self.settled)
                yield Transcript(text=text, start=self.settled, end=end, is_final=False)

    def settle(self, now: float) -> Iterator[ProviderEvent]:
        """Yield the final."""
        if now > self.settled + _EPSILON:
            yield self._final(self._text(now - self.settled), now)

    @staticmethod
    def _text(seconds: float) -> str:
        return f"heard {seconds:.1f} seconds"


class Script(Voice):
    """Speaks sentences word by word, each sentence a final."""

    def __init__(self, options: EchoOptions) -> None:
        self._timeline = self._lay_out(options)
        self._next = next(self._timeline, None)
        self._words: list[Word] = []

    @staticmethod
    def _lay_out(options: EchoOptions) -> Iterator[tuple[Word, bool, bool]]:
        """Yield each word with its time, and whether it is the first and the last of a sentence."""
        length, at = 1 / options.words_per_second, 0.0
        sentences = [words for sentence in options.script if (words := sentence.split())]
        while sentences:
            for words in sentences:
                for index, text in enumerate(words):
                    word = Word(text=text, start=at, end=at + length, confidence=1.0)
                    yield word, index == 0, index == len(words) - 1
                    at += length
                at += options.pause
            if not options.repeat:
                return

    def advance(self, now: float) -> Iterator[ProviderEvent]:
        """Yield an interim for each word that has been spoken, a final at the end of a sentence."""
        while self._next is not None and self._next[0].end <= now + _EPSILON:
            word, first, last = self._next
            yield from self._settle_silence(word.end - 2 * _EPSILON)
            self._next = next(self._timeline, None)
            if first:
                yield SpeechStarted(at=word.start)
            self._words.append(replace(word, start=max(word.start, self.settled)))
            if last:
                yield from self.settle(word.end)
            else:
                yield Transcript(
                    text=self._text(),
                    start=self.settled,
                    end=word.end,
                    is_final=False,
                    words=tuple(self._words),
                )
        yield from self._settle_silence(now)

    def settle(self, now: float) -> Iterator[ProviderEvent]:
        """Yield the final, an empty one when nothing was said."""
        words, text = tuple(self._words), self._text()
        self._words.clear()
        if now > self.settled + _EPSILON:
            yield self._final(text, now, words)

    def _settle_silence(self, upto: float) -> Iterator[ProviderEvent]:
        while not self._words and upto >= self.settled + _SEGMENT - _EPSILON:
            yield from self.settle(self.settled + _SEGMENT)

    def _text(self) -> str:
        return " ".join(word.text for word in self._words)


class Echo(Provider):
    """Echoes, with the faults its options ask for."""

    capabilities = Capabilities(
        sample_rates=None,
        word_times="exact",
        word_confidence=True,
        speech_started=True,
        endpointing=True,
    )

    def __init__(self, options: EchoOptions) -> None:
        self._options = options

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield the echo of ``audio``."""
        options = self._options
        if options.refuse:
            raise self._fault("refused the stream")
        voice: Voice = Script(options) if options.script else Counting()
        die, stall = options.die_after or math.inf, options.stall_after or math.inf
        samples, now = 0, 0.0
        async for item in audio:
            if item is Control.FINALIZE:
                events = [*voice.settle(now), Finalized()]
            else:
                assert isinstance(item, bytes)
                samples += len(item) // 2
                now = min(samples / params.sample_rate, die, stall)
                events = [*voice.advance(now)]
            for event in events:
                await self._delay()
                yield event
            if now == die:
                raise self._fault(f"broke off after {die:g} s")
            if now == stall:
                await asyncio.get_running_loop().create_future()
        for event in voice.settle(now):
            await self._delay()
            yield event

    async def _delay(self) -> None:
        if self._options.delay:
            await asyncio.sleep(self._options.delay)

    def _fault(self, what: str) -> ProviderError:
        return _ERRORS[self._options.error](f"the echo provider {what}, as its options ask")


@hookimpl
def sttgate_providers() -> list[ProviderSpec]:
    """Offer the echo provider."""
    return [
        ProviderSpec(
            name="echo",
            factory=Echo,
            options=EchoOptions,
            summary="A fake for offline testing: says how much it heard, or speaks a script",
        )
    ]
