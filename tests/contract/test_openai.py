"""The provider for OpenAI and compatible servers keeps the provider contract, against our fake."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from sttgate.testing import ProviderTests
from sttgate_openai import OpenAIOptions, OpenAIProvider
from tests.fakes.openai_server import FakeOpenAI
from tests.speech import clause


class TestOpenAI(ProviderTests):
    patience = 30.0

    @pytest.fixture(params=["whisper-1", "gpt-transcribe"])
    async def provider(self, request: pytest.FixtureRequest) -> AsyncIterator[OpenAIProvider]:
        """With words and times, and with text alone."""
        async with FakeOpenAI(api_key="sk-test") as server:
            options = {"base_url": server.url, "api_key": SecretStr("sk-test")}
            yield OpenAIProvider(OpenAIOptions(model=request.param, **options))

    @pytest.fixture
    def speech(self) -> bytes:
        """The fake counts words by the length of what it gets, but something has to be heard."""
        return clause()


class TestInterims(TestOpenAI):
    @pytest.fixture
    async def provider(self) -> AsyncIterator[OpenAIProvider]:
        """With requests for interims."""
        async with FakeOpenAI() as server:
            yield OpenAIProvider(OpenAIOptions(base_url=server.url, interim_interval=0.5))
