"""The provider contract as tests: subclass ``ProviderTests`` and write one fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sttgate.provider import Provider, StreamParams
from sttgate.testing.bench import Bench
from sttgate.testing.life import LifeClauses
from sttgate.testing.scripted import silence, tone
from sttgate.testing.words import WordClauses


class ProviderTests(WordClauses, LifeClauses):
    """The provider contract. Write the fixture ``provider``: return it as made, not yet opened.

    Optional fixtures: ``speech``, PCM that the engine recognises, at the rate of ``params`` (else
    tone and silence, and tests that need words are skipped when there are none); ``params``; and
    ``speed``, how many times real time audio is fed (else as the capabilities say; None with a
    fake server). ``patience`` is how many seconds a stream may take to end, ``pause`` how long
    the caller says nothing in the test of clause 8.
    """

    patience = 10.0
    pause = 1.5

    @pytest.fixture
    def provider(self) -> Provider:
        """Return the provider under test."""
        raise NotImplementedError("write a fixture `provider` that returns your provider")

    @pytest.fixture
    def params(self, provider: Provider) -> StreamParams:
        """Return what a stream asks for."""
        rates = provider.capabilities.sample_rates
        return StreamParams(sample_rate=16_000 if rates is None or 16_000 in rates else rates[0])

    @pytest.fixture
    def speech(self, params: StreamParams) -> bytes:
        """Return audio that the engine recognises, a few seconds of it."""
        rate = params.sample_rate
        return silence(0.3, rate) + tone(0.9, rate) + silence(0.4, rate) + tone(0.7, rate, 330)

    @pytest.fixture
    def speed(self, provider: Provider) -> float | None:
        """Return how many times faster than real time audio may be fed."""
        return provider.capabilities.max_replay_speed

    @pytest_asyncio.fixture
    async def bench(
        self, provider: Provider, speech: bytes, params: StreamParams, speed: float | None
    ) -> AsyncIterator[Bench]:
        """Open the provider for a test, and close it afterwards."""
        bench = Bench(
            provider, speech, params, speed=speed, patience=self.patience, pause=self.pause
        )
        try:
            await bench.open()
            yield bench
        finally:
            await bench.close()
