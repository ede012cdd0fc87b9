"""Copies of the echo provider, each of which breaks one clause of the contract."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
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
    """Keeps the contract; the others change what it does."""

    def __init__(self) -> None:
        super().__init__(EchoOptions())


class InterimAfterItsFinal(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        async with aclosing(super().transcribe(audio, params)) as events:
            async for event in events:
                yield event
                if isinstance(event, Transcript) and event.is_final:
                    yield replace(event, is_final=False, endpoint=False)


class OverlappingFinals(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        async with aclosing(super().transcribe(audio, params)) as events:
            async for event in events:
                if isinstance(event, Transcript) and event.is_final:
                    event = replace(event, start=max(0.0, event.start - 0.5))
                yield event


class LostLastFinal(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        ended = False

        class Ending(ScriptedAudio):
            async def receive(self) -> bytes | Control | None:
                nonlocal ended
                item = await audio.receive()
                ended = item is None
                return item

        async with aclosing(super().transcribe(Ending(), params)) as events:
            async for event in events:
                if not ended:
                    yield event


class LostLastWord(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        async with aclosing(super().transcribe(audio, params)) as events:
            async for event in events:
                if isinstance(event, Transcript) and event.is_final:
                    event = replace(event, text=event.text.rpartition(" ")[0])
                yield event


class LeakedTask(Healthy):
    def __init__(self) -> None:
        super().__init__()
        self._tasks: list[asyncio.Task[None]] = []

    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        self._tasks.append(asyncio.create_task(asyncio.sleep(3600), name="keep-alive"))
        async with aclosing(super().transcribe(audio, params)) as events:
            async for event in events:
                yield event


class LeakedThread(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        threading.Thread(target=threading.Event().wait, name="decoder", daemon=True).start()
        async with aclosing(super().transcribe(audio, params)) as events:
            async for event in events:
                yield event


class SharedState(Provider):
    def __init__(self) -> None:
        self._samples = self._settled = 0
        self._streams = 0

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
        return Transcript(
            text=text, start=start / rate, end=self._samples / rate, is_final=True, endpoint=True
        )


class SwallowedCancellation(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        class Stubborn(ScriptedAudio):
            async def receive(self) -> bytes | Control | None:
                while True:
                    try:
                        return await audio.receive()
                    except asyncio.CancelledError:
                        continue

        async with aclosing(super().transcribe(Stubborn(), params)) as events:
            async for event in events:
                yield event


class CancellationTakenForTheEnd(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        class Yielding(ScriptedAudio):
            async def receive(self) -> bytes | Control | None:
                try:
                    return await audio.receive()
                except asyncio.CancelledError:
                    return None

        async with aclosing(super().transcribe(Yielding(), params)) as events:
            async for event in events:
                yield event


class ForeignException(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        model = {None: "default", "large": "large"}[params.model]
        assert model
        async with aclosing(super().transcribe(audio, params)) as events:
            async for event in events:
                yield event


class UnboundedBuffering(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        heap = ScriptedAudio()

        async def read() -> None:
            async for item in audio:
                await heap.put(item)
            await heap.end()

        reader = asyncio.create_task(read())
        try:
            async with aclosing(super().transcribe(heap, params)) as events:
                async for event in events:
                    yield event
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


class FinalizeIgnored(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        class Deaf(ScriptedAudio):
            async def receive(self) -> bytes | Control | None:
                while (item := await audio.receive()) is Control.FINALIZE:
                    pass
                return item

        async with aclosing(super().transcribe(Deaf(), params)) as events:
            async for event in events:
                yield event


class FinalizedTooSoon(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        held: ProviderEvent | None = None
        async with aclosing(super().transcribe(audio, params)) as events:
            async for event in events:
                if isinstance(event, Transcript) and event.is_final:
                    held = event
                    continue
                yield event
                if held is not None:
                    yield held
                    held = None
        if held is not None:
            yield held


class TimesThatRestart(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        begin = 0.0
        async with aclosing(super().transcribe(audio, params)) as events:
            async for event in events:
                if isinstance(event, Transcript):
                    end = event.end
                    moved = replace(event, start=event.start - begin, end=event.end - begin)
                    if event.is_final:
                        begin = end
                    yield moved
                else:
                    yield event


class Milliseconds(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        async with aclosing(super().transcribe(audio, params)) as events:
            async for event in events:
                if isinstance(event, Transcript):
                    event = replace(event, start=event.start * 1000, end=event.end * 1000)
                yield event


class OneRate(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        always = replace(params, sample_rate=16_000)
        async with aclosing(super().transcribe(audio, always)) as events:
            async for event in events:
                yield event


class EndsInSilence(Healthy):
    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        class Impatient(ScriptedAudio):
            async def receive(self) -> bytes | Control | None:
                try:
                    async with asyncio.timeout(0.5):
                        return await audio.receive()
                except TimeoutError:
                    return None

        async with aclosing(super().transcribe(Impatient(), params)) as events:
            async for event in events:
                yield event


class CannotReopen(Healthy):
    def __init__(self) -> None:
        super().__init__()
        self._closed = False

    async def close(self) -> None:
        self._closed = True

    async def transcribe(self, audio: AudioInput, params: StreamParams) -> Events:
        assert not self._closed
        async with aclosing(super().transcribe(audio, params)) as events:
            async for event in events:
                yield event
