"""Audio a test writes by hand, and a way to hear what a provider makes of it."""

from __future__ import annotations

import array
import asyncio
import math
from collections.abc import Iterable
from contextlib import aclosing

from sttgate.events import ProviderEvent
from sttgate.provider import AudioInput, Control, Provider, StreamParams


class ScriptedAudio(AudioInput):
    """The audio of one stream, from a list or fed as the test goes.

    Give ``items`` to have it end by itself after them, or none and use ``put`` and ``end``.
    """

    def __init__(self, items: Iterable[bytes | Control] | None = None, maxsize: int = 0) -> None:
        self._queue: asyncio.Queue[bytes | Control | None] = asyncio.Queue(maxsize)
        self._ended = False
        if items is not None:
            for item in items:
                self._queue.put_nowait(item)
            self._queue.put_nowait(None)

    async def put(self, item: bytes | Control) -> None:
        """Append a chunk or a control; waits while ``maxsize`` items are unread."""
        await self._queue.put(item)

    async def end(self) -> None:
        """Say that no more audio will come."""
        await self._queue.put(None)

    @property
    def unread(self) -> int:
        """How many items nobody has taken yet."""
        return self._queue.qsize()

    async def receive(self) -> bytes | Control | None:
        """Return the next item, or None after the end."""
        if self._ended:
            return None
        item = await self._queue.get()
        self._ended = item is None
        return item


async def collect(
    provider: Provider, audio: AudioInput, params: StreamParams | None = None
) -> list[ProviderEvent]:
    """Return every event ``provider`` yields for ``audio``."""
    events = []
    async with aclosing(provider.transcribe(audio, params or StreamParams())) as stream:
        async for event in stream:
            events.append(event)
    return events


def silence(seconds: float, sample_rate: int = 16_000) -> bytes:
    """Return ``seconds`` of digital silence, mono."""
    return bytes(2 * round(seconds * sample_rate))


def tone(seconds: float, sample_rate: int = 16_000, hertz: float = 440.0) -> bytes:
    """Return ``seconds`` of a sine at a quarter of full scale, mono."""
    count = round(seconds * sample_rate)
    step = 2 * math.pi * hertz / sample_rate
    return array.array("h", (round(8191 * math.sin(step * n)) for n in range(count))).tobytes()
