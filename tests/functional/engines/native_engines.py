"""Engines for the tests of the native protocol: a plugin in a drop-in folder, like anyone's."""

from __future__ import annotations

import array
import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Literal

from sttgate import (
    AudioInput,
    Capabilities,
    Control,
    Finalized,
    Options,
    Provider,
    ProviderEvent,
    ProviderSpec,
    Recording,
    RecordingStore,
    SpeechStarted,
    StoreError,
    StoreSpec,
    StreamParams,
    Transcript,
    UtteranceEnd,
    hookimpl,
)

Kind = Literal["interim", "final", "endpoint", "utterance_end", "speech_started"]


class PuppetOptions(Options):
    lines: tuple[tuple[float, Kind, str], ...] = ()
    """What to say: seconds of audio after which, what it is, the text."""
    hang: Literal["open", "begin", "finalize", "end"] | None = None
    """Where to wait for ``release``."""
    languages: tuple[str, ...] | None = None
    """The languages it speaks."""


class Puppet(Provider):
    """Says what it is told, when it is told; ``reached`` is set where it hangs."""

    def __init__(self, options: PuppetOptions) -> None:
        self.capabilities = Capabilities(sample_rates=None, languages=options.languages)
        self._options = options
        self.reached = asyncio.Event()
        self.release = asyncio.Event()
        self.params: list[StreamParams] = []

    async def open(self) -> None:
        await self._hang("open")

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        self.params.append(params)
        await self._hang("begin")
        lines = list(self._options.lines)
        heard = settled = 0.0
        async for item in audio:
            if isinstance(item, Control):
                await self._hang("finalize")
                yield Finalized()
                continue
            heard += len(item) / 2 / params.sample_rate
            while lines and lines[0][0] <= heard:
                at, kind, text = lines.pop(0)
                if kind == "utterance_end":
                    yield UtteranceEnd(at=settled)
                elif kind == "speech_started":
                    yield SpeechStarted(at=at)
                else:
                    final = kind != "interim"
                    endpoint = kind == "endpoint"
                    yield Transcript(
                        text=text, start=settled, end=at, is_final=final, endpoint=endpoint
                    )
                    settled = at if final else settled
        await self._hang("end")
        for _, _, text in lines:
            yield Transcript(text=text, start=settled, end=heard, is_final=True)
            settled = heard

    async def _hang(self, where: str) -> None:
        if self._options.hang == where:
            self.reached.set()
            await self.release.wait()


class MeterOptions(Options):
    rates: tuple[int, ...] = (16_000,)
    """The sample rates it takes."""


class Meter(Provider):
    """Measures: how loud, how high, how long."""

    def __init__(self, options: MeterOptions) -> None:
        self.capabilities = Capabilities(sample_rates=options.rates)

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        samples = array.array("h")
        async for item in audio:
            if isinstance(item, bytes):
                samples.frombytes(item)
        seconds = len(samples) / params.sample_rate
        rising = sum(a < 0 <= b for a, b in pairwise(samples))
        text = f"{max(samples)} {rising / seconds:.0f} {params.sample_rate}"
        yield Transcript(text=text, start=0.0, end=seconds, is_final=True, endpoint=True)


class TorrentOptions(Options):
    size: int = 65_536
    """Characters of an interim."""
    interims: int = 1
    """How many for each chunk of audio."""


class Torrent(Provider):
    """Says far too much: long interims without end, and a short final for each chunk of audio."""

    capabilities = Capabilities(sample_rates=None)

    def __init__(self, options: TorrentOptions) -> None:
        self._options = options
        self.said = 0

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        heard = settled = 0.0
        async for item in audio:
            if isinstance(item, bytes):
                heard += len(item) / 2 / params.sample_rate
                for number in range(self._options.interims):
                    text = f"{number:09}" + "x" * self._options.size
                    yield Transcript(text=text, start=settled, end=heard, is_final=False)
                    self.said += len(text)
                    await asyncio.sleep(0)
                yield Transcript(text="so", start=settled, end=heard, is_final=True)
                settled = heard


class PipelineOptions(Options):
    final_after: float = 0.1
    """Seconds from a finalize to its final."""
    answer_after: float = 0.1
    """Seconds from there to ``Finalized``."""


class Pipeline(Provider):
    """Answers a finalize late and reads on meanwhile, as engines behind a network do."""

    capabilities = Capabilities(sample_rates=None)

    def __init__(self, options: PipelineOptions) -> None:
        self._options = options

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        asked: asyncio.Queue[tuple[float, bool]] = asyncio.Queue()  # seconds heard, whether all

        async def read() -> None:
            samples = 0
            async for item in audio:
                if isinstance(item, bytes):
                    samples += len(item) // 2
                else:
                    asked.put_nowait((samples / params.sample_rate, False))
            asked.put_nowait((samples / params.sample_rate, True))

        reading = asyncio.create_task(read())
        settled, over = 0.0, False
        try:
            while not over:
                heard, over = await asked.get()
                await asyncio.sleep(self._options.final_after)
                if heard > settled:
                    text = f"from {settled:g} to {heard:g}"
                    yield Transcript(text=text, start=settled, end=heard, is_final=True)
                    settled = heard
                if not over:
                    await asyncio.sleep(self._options.answer_after)
                    yield Finalized()
        finally:
            reading.cancel()
            await asyncio.wait({reading})


class Limbo(RecordingStore):
    """Takes no recording before ``release`` is set, and keeps none."""

    def __init__(self, options: Options) -> None:
        self.reached = asyncio.Event()
        self.release = asyncio.Event()

    async def put(self, session_id: str, source: Path) -> Recording:
        self.reached.set()
        await self.release.wait()
        size = source.stat().st_size
        source.unlink()
        return Recording(session_id=session_id, size=size)

    async def find(self, session_id: str) -> Recording | None:
        return None

    async def read(
        self, session_id: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        raise StoreError("limbo keeps nothing")
        yield b""

    async def delete(self, session_id: str) -> bool:
        return False


@hookimpl
def sttgate_providers() -> list[ProviderSpec]:
    return [
        ProviderSpec(name="puppet", factory=Puppet, options=PuppetOptions),
        ProviderSpec(name="meter", factory=Meter, options=MeterOptions),
        ProviderSpec(name="torrent", factory=Torrent, options=TorrentOptions),
        ProviderSpec(name="pipeline", factory=Pipeline, options=PipelineOptions),
    ]


@hookimpl
def sttgate_recording_stores() -> list[StoreSpec]:
    return [StoreSpec(name="limbo", factory=Limbo)]
