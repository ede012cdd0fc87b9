"""Copies of the echo provider, each of which breaks one clause of the contract."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace

from sttgate import (
    AudioInput,
    Control,
    Finalized,
    Provider,
    ProviderEvent,
    StreamParams,
    Transcript,
)
from sttgate.testing import ScriptedAudio
from sttgate_echo import Echo, EchoOptions

Events = AsyncGenerator[ProviderEvent, None]


class Healthy(Echo):
    """Keeps the contract; the others change what goes in or what comes out."""

    def __init__(self) -> None:
        super().__init__(EchoOptions())

    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        heard = self.listen(audio)
        change = self.new_change()
        async with aclosing(super().transcribe(heard, self.ask(params))) as events:
            async for event in events:
                for changed in change.say(event):
                    yield changed  # noqa: ASYNC119 - the host iterates inside aclosing
            for rest in change.end():
                yield rest  # noqa: ASYNC119

    def listen(self, audio: AudioInput) -> AudioInput:
        return audio

    def ask(self, params: StreamParams) -> StreamParams:
        return params

    def new_change(self) -> Change:
        return Change()


class Change:
    """What is said in the place of each event."""

    def say(self, event: ProviderEvent) -> Iterator[ProviderEvent]:
        if isinstance(event, Transcript):
            yield from self.transcript(event)
        else:
            yield event

    def transcript(self, event: Transcript) -> Iterator[ProviderEvent]:
        yield from self.final(event) if event.is_final else [event]

    def final(self, event: Transcript) -> Iterator[ProviderEvent]:
        yield event

    def end(self) -> Iterator[ProviderEvent]:
        yield from ()


class Altered(AudioInput):
    def __init__(self, audio: AudioInput) -> None:
        self.audio = audio

    async def receive(self) -> bytes | Control | None:
        return await self.audio.receive()


class InterimAfterItsFinal(Healthy):
    class _Twice(Change):
        def final(self, event: Transcript) -> Iterator[ProviderEvent]:
            yield event
            yield replace(event, is_final=False, endpoint=False)

    new_change = _Twice


class OverlappingFinals(Healthy):
    class _Early(Change):
        def final(self, event: Transcript) -> Iterator[ProviderEvent]:
            yield replace(event, start=max(0.0, event.start - 0.5))

    new_change = _Early


class LostLastFinal(Healthy):
    class _OneBehind(Change):
        held: ProviderEvent | None = None

        def say(self, event: ProviderEvent) -> Iterator[ProviderEvent]:
            if self.held is not None:
                yield self.held
            self.held = event

    new_change = _OneBehind


class SpeaksAtTheEnd(Healthy):
    class _Held(Change):
        def __init__(self) -> None:
            self.held: list[ProviderEvent] = []

        def say(self, event: ProviderEvent) -> Iterator[ProviderEvent]:
            self.held.append(event)
            yield from ()

        def end(self) -> Iterator[ProviderEvent]:
            yield from self.held

    new_change = _Held


class LostLastWord(Healthy):
    class _Unflushed(Change):
        """Leaves out the last word of the last final, unless something follows it."""

        held: Transcript | None = None

        def say(self, event: ProviderEvent) -> Iterator[ProviderEvent]:
            if self.held is not None:
                yield self.held
            self.held = None
            if isinstance(event, Transcript) and event.is_final:
                self.held = event
            else:
                yield event

        def end(self) -> Iterator[ProviderEvent]:
            if self.held is not None:
                yield replace(self.held, text=self.held.text.rpartition(" ")[0])

    new_change = _Unflushed


class LeakedTask(Healthy):
    def __init__(self) -> None:
        super().__init__()
        self._tasks: list[asyncio.Task[None]] = []

    def listen(self, audio: AudioInput) -> AudioInput:
        self._tasks.append(asyncio.create_task(asyncio.sleep(3600), name="keep-alive"))
        return audio


class LeakedThread(Healthy):
    def listen(self, audio: AudioInput) -> AudioInput:
        threading.Thread(target=threading.Event().wait, name="decoder", daemon=True).start()
        return audio


class SharedState(Provider):
    """Counts in ``self`` what belongs to a stream."""

    def __init__(self) -> None:
        self._samples = self._settled = self._streams = 0

    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        rate = params.sample_rate
        if not self._streams:
            self._samples = self._settled = 0
        self._streams += 1
        try:
            async for item in audio:
                if isinstance(item, bytes):
                    self._samples += len(item) // 2
                    if self._samples - self._settled < rate // 2:
                        continue
                yield self._final(rate)
                if item is Control.FINALIZE:
                    yield Finalized()
            yield self._final(rate)
        finally:
            self._streams -= 1

    def _final(self, rate: int) -> Transcript:
        start, self._settled = self._settled, self._samples
        text = f"{self._samples - start} samples"
        return Transcript(text=text, start=start / rate, end=self._samples / rate, is_final=True)


class SwallowedCancellation(Healthy):
    class _Stubborn(Altered):
        async def receive(self) -> bytes | Control | None:
            while True:
                try:
                    return await self.audio.receive()
                except asyncio.CancelledError:
                    continue

    def listen(self, audio: AudioInput) -> AudioInput:
        return self._Stubborn(audio)


class CancellationTakenForTheEnd(Healthy):
    class _Yielding(Altered):
        async def receive(self) -> bytes | Control | None:
            try:
                return await self.audio.receive()
            except asyncio.CancelledError:
                return None

    def listen(self, audio: AudioInput) -> AudioInput:
        return self._Yielding(audio)


class ForeignException(Healthy):
    def ask(self, params: StreamParams) -> StreamParams:
        return replace(params, model={None: "default", "large": "large"}[params.model])


class UnboundedBuffering(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        heap = ScriptedAudio()

        async def read() -> None:
            async for item in audio:
                await heap.put(item)
            await heap.end()

        reader = asyncio.create_task(read())
        try:
            async for event in super().transcribe(heap, params):
                yield event
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


class FinalizeIgnored(Healthy):
    class _Deaf(Altered):
        async def receive(self) -> bytes | Control | None:
            while (item := await self.audio.receive()) is Control.FINALIZE:
                pass
            return item

    def listen(self, audio: AudioInput) -> AudioInput:
        return self._Deaf(audio)


class FinalizedTooSoon(Healthy):
    class _Swapped(Change):
        def __init__(self) -> None:
            self._held: list[ProviderEvent] = []

        def say(self, event: ProviderEvent) -> Iterator[ProviderEvent]:
            if isinstance(event, Transcript) and event.is_final:
                self._held.append(event)
                return
            yield event
            yield from self.end()

        def end(self) -> Iterator[ProviderEvent]:
            held, self._held = self._held, []
            yield from held

    new_change = _Swapped


class TimesThatRestart(Healthy):
    class _Restarting(Change):
        begin = 0.0

        def transcript(self, event: Transcript) -> Iterator[ProviderEvent]:
            begin = self.begin
            if event.is_final:
                self.begin = event.end
            yield replace(event, start=event.start - begin, end=event.end - begin)

    new_change = _Restarting


class Milliseconds(Healthy):
    class _Longer(Change):
        def transcript(self, event: Transcript) -> Iterator[ProviderEvent]:
            yield replace(event, start=event.start * 1000, end=event.end * 1000)

    new_change = _Longer


class OneRate(Healthy):
    def ask(self, params: StreamParams) -> StreamParams:
        return replace(params, sample_rate=16_000)


class EndsInSilence(Healthy):
    class _Impatient(Altered):
        async def receive(self) -> bytes | Control | None:
            try:
                async with asyncio.timeout(0.5):
                    return await self.audio.receive()
            except TimeoutError:
                return None

    def listen(self, audio: AudioInput) -> AudioInput:
        return self._Impatient(audio)


class DropsThePartialFrame(Healthy):
    class _Frames(Altered):
        async def receive(self) -> bytes | Control | None:
            while isinstance(item := await self.audio.receive(), bytes):
                if whole := item[: len(item) // 320 * 320]:
                    return whole
            return item

    def listen(self, audio: AudioInput) -> AudioInput:
        return self._Frames(audio)


class CannotReopen(Healthy):
    _closed = False

    async def close(self) -> None:
        self._closed = True

    def listen(self, audio: AudioInput) -> AudioInput:
        assert not self._closed
        return audio


class Unusable(Healthy):
    async def check(self) -> None:
        raise KeyError("status")
