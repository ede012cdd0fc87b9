"""The Deepgram provider keeps the provider contract, against a server that speaks its protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sttgate.testing import ProviderTests
from sttgate_deepgram import DeepgramOptions, DeepgramProvider
from tests.fakes.deepgram_server import FakeDeepgram


class TestDeepgram(ProviderTests):
    @pytest.fixture
    async def provider(self) -> AsyncIterator[DeepgramProvider]:
        # Hangs up after a second without audio, where Deepgram waits for ten.
        async with FakeDeepgram(net_timeout=1.0) as server:
            yield DeepgramProvider(
                DeepgramOptions(api_key="testkey", base_url=server.url, keepalive_interval=0.5)
            )

    @pytest.fixture
    def speed(self) -> None:
        """The fake takes audio as fast as it comes."""
