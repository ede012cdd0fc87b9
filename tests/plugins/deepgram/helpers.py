"""What the tests of the Deepgram provider do again and again."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from sttgate import Control, ProviderError, ProviderEvent, StreamParams, Transcript
from sttgate.testing import ScriptedAudio, collect, silence
from sttgate_deepgram import DeepgramOptions, DeepgramProvider
from tests.fakes.deepgram_server import FakeDeepgram

KEY = "testkey"
PATIENCE = 3.0
"""Seconds something that should happen at once may take on a busy machine."""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[DeepgramProvider]:
    provider = DeepgramProvider(DeepgramOptions(**{"api_key": KEY, "base_url": url} | options))
    await provider.open()
    try:
        yield provider
    finally:
        await provider.close()


def seconds(amount: float) -> list[bytes | Control]:
    return [silence(0.1)] * round(amount * 10)


async def hear(
    server: FakeDeepgram,
    audio: Iterable[bytes | Control],
    params: StreamParams | None = None,
    **options: Any,
) -> list[ProviderEvent]:
    async with opened(server.url, **options) as provider:
        return await collect(provider, ScriptedAudio(audio), params)


def finals(events: Iterable[ProviderEvent]) -> list[Transcript]:
    return [event for event in events if isinstance(event, Transcript) and event.is_final]


def text(events: Iterable[ProviderEvent]) -> str:
    return " ".join(final.text for final in finals(events) if final.text)


async def failure(server: FakeDeepgram, amount: float = 3, **options: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await hear(server, seconds(amount), **options)
    assert KEY not in str(caught.value)
    return caught.value


async def cancelled(task: asyncio.Task[Any]) -> None:
    begun = time.monotonic()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert time.monotonic() - begun < PATIENCE


def dump(message: dict[str, Any]) -> str:
    return json.dumps(message)
