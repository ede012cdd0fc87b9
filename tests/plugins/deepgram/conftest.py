"""Fixtures of the Deepgram provider's tests."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator

import pytest

from tests.fakes.deepgram_server import FakeDeepgram
from tests.plugins.deepgram.helpers import until


@pytest.fixture(autouse=True)
async def nothing_leaks() -> AsyncIterator[None]:
    """Fail the test that leaves a task, a thread or a file descriptor behind."""

    def held() -> tuple[int, int, int]:
        threads = [t for t in threading.enumerate() if not t.name.startswith("asyncio_")]
        return len(asyncio.all_tasks()), len(threads), len(os.listdir("/proc/self/fd"))

    before = held()
    yield
    await until(lambda: all(now <= then for now, then in zip(held(), before, strict=True)))


@pytest.fixture
async def server() -> AsyncIterator[FakeDeepgram]:
    async with FakeDeepgram() as fake:
        yield fake
