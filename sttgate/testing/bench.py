"""A provider on the test bench: opened, with speech at hand, heard with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from sttgate.provider import Control, Provider, StreamParams
from sttgate.testing.footprint import Footprint
from sttgate.testing.hearing import Heard, MeteredAudio, hear, pieces
from sttgate.testing.kit import FREED_WITHIN

PIECE = 0.1
"""Seconds of audio in one piece, unless a test cuts it otherwise."""


class Bench:
    """What a test of ``ProviderTests`` works with; ``before`` is from before ``open``."""

    def __init__(
        self,
        provider: Provider,
        speech: bytes,
        params: StreamParams,
        *,
        speed: float | None,
        patience: float,
        pause: float,
    ) -> None:
        self.provider = provider
        self.speech = speech
        self.params = params
        self.speed = speed
        self.patience = patience
        self.pause = pause
        self.before = Footprint()
        self._open = False

    async def open(self) -> None:
        """Open the provider."""
        async with asyncio.timeout(30):
            self._open = True
            await self.provider.open()

    async def close(self) -> None:
        """Close the provider if it is open."""
        if self._open:
            self._open = False
            async with asyncio.timeout(5 + FREED_WITHIN):
                await self.provider.close()

    @property
    def seconds(self) -> float:
        """How long the speech lasts."""
        return len(self.speech) / 2 / self.params.sample_rate

    def silence(self, seconds: float) -> bytes:
        """Return silence at the rate of the stream."""
        return bytes(2 * round(seconds * self.params.sample_rate))

    def cut(self, pcm: bytes) -> Iterator[bytes]:
        """Cut audio into pieces of a tenth of a second."""
        return pieces(pcm, [2 * round(PIECE * self.params.sample_rate)])

    def audio(self, items: Iterable[bytes | Control] | None = None) -> MeteredAudio:
        """Return audio in the provider's pace; without ``items`` the test feeds it."""
        return MeteredAudio(items, sample_rate=self.params.sample_rate, speed=self.speed)

    async def hear(
        self, items: Iterable[bytes | Control], params: StreamParams | None = None
    ) -> Heard:
        """Hear a stream of ``items`` to its end; an end that does not come is a failure."""
        items = list(items)
        params = params or self.params
        size = sum(len(item) for item in items if isinstance(item, bytes))
        seconds = size / 2 / params.sample_rate
        audio = MeteredAudio(items, sample_rate=params.sample_rate, speed=self.speed)
        heard = Heard()
        try:
            async with asyncio.timeout(self.patience + seconds / (self.speed or 1)):
                return await hear(self.provider, audio, params, heard)
        except TimeoutError:
            raise AssertionError(
                f"the stream did not end within {self.patience:g} s of its audio; "
                f"it had read {audio.seconds:.1f} s of it, {audio.unread} items were unread"
            ) from None

    async def hear_speech(self, **changes: Any) -> Heard:
        """Hear the speech, with some parameters changed."""
        return await self.hear(self.cut(self.speech), replace(self.params, **changes))

    @asynccontextmanager
    async def stream(self, audio: MeteredAudio) -> AsyncIterator[tuple[Heard, asyncio.Task[Heard]]]:
        """Run a stream in a task while the test goes on; it is cancelled at the end."""
        heard = Heard()
        task = asyncio.create_task(hear(self.provider, audio, self.params, heard), name="stream")
        try:
            yield heard, task
        finally:
            await give_up(task, audio)

    async def first_event(self, audio: MeteredAudio, got: asyncio.Event) -> None:
        """Take one event and then no more, like a consumer that is stuck."""
        async with aclosing(self.provider.transcribe(audio, self.params)) as stream:
            async for _ in stream:
                got.set()
                await asyncio.get_running_loop().create_future()


async def give_up(task: asyncio.Task[Any], audio: MeteredAudio) -> None:
    """End a task that may swallow its cancellation."""
    for _ in range(3):
        task.cancel()
        await audio.end()
        await asyncio.wait({task}, timeout=FREED_WITHIN)
        if task.done():
            break
    if task.done() and not task.cancelled():
        with suppress(Exception):
            task.result()


async def until(condition: Any, patience: float) -> bool:
    """Wait until ``condition()`` holds; False if it does not in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while not condition():  # noqa: ASYNC110 - a provider has no event to wait for
                await asyncio.sleep(0.01)
            return True
    return bool(condition())
