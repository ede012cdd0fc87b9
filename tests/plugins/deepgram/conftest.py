"""Fixtures of the Deepgram provider's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.deepgram_server import FakeDeepgram


@pytest.fixture
async def server() -> AsyncIterator[FakeDeepgram]:
    async with FakeDeepgram() as fake:
        yield fake
