"""OpenAI's own client against our fake of its service: what it accepts there, our plugin may rely on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from sttgate import ProviderError, StreamParams
from sttgate.testing import tone
from sttgate_openai.client import wav
from tests.fakes.openai_server import FakeOpenAI, Faults
from tests.plugins.test_openai import KEY, ask, opened

AUDIO = ("audio.wav", wav(tone(2)), "audio/wav")


@asynccontextmanager
async def vendor(server: FakeOpenAI, key: str = KEY) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        api_key=key, base_url=server.url, max_retries=0, timeout=5
    ) as client:
        yield client


VERBOSE: dict[str, Any] = {
    "response_format": "verbose_json",
    "timestamp_granularities": ["word", "segment"],
}


@pytest.mark.parametrize(
    "options",
    [
        {"model": "whisper-1", **VERBOSE},
        {"model": "whisper-1", "language": "en", "prompt": "Hi.", "temperature": 0.5, **VERBOSE},
        {"model": "gpt-transcribe", "response_format": "json"},
    ],
)
async def test_requests_are_the_same(options: dict[str, Any]) -> None:
    """The vendor's client sends what our plugin sends: fields, file, credentials."""
    ours_only = {k: v for k, v in options.items() if k != "timestamp_granularities"}
    async with FakeOpenAI(api_key=KEY) as server, vendor(server) as client:
        await ask(server, **ours_only)
        await client.audio.transcriptions.create(file=AUDIO, **options)
    ours, theirs = server.requests
    assert sorted(ours.fields.items()) == sorted(theirs.fields.items())
    assert ours.file == theirs.file
    assert ours.authorization == theirs.authorization


async def test_answers_are_understood() -> None:
    """The vendor's client finds words, segments and language where our plugin finds them."""
    async with FakeOpenAI(api_key=KEY) as server, vendor(server) as client:
        theirs = await client.audio.transcriptions.create(file=AUDIO, model="whisper-1", **VERBOSE)
        ours = await ask(server)
        short = await client.audio.transcriptions.create(file=AUDIO, model="gpt-transcribe")
    assert theirs.text == ours.text == short.text == "word0 word1 word2 word3"
    assert theirs.words is not None
    assert [(word.word, word.start, word.end) for word in theirs.words] == [
        (word.text, word.start, word.end) for word in ours.words
    ]
    assert theirs.segments is not None
    assert theirs.segments[0].avg_logprob == -0.2
    assert theirs.duration == 2.0
    assert theirs.usage is not None
    assert theirs.usage.seconds == 2.0
    assert short.languages is not None
    assert short.languages[0].code == "en"
    for answer in (theirs, theirs.segments[0], theirs.words[0], short):
        # nothing the vendor does not have; its own examples have a task that its client leaves out
        assert set(answer.model_extra or ()) <= {"task"}


async def test_models_are_listed() -> None:
    """What our check asks for is what the vendor's client lists."""
    async with FakeOpenAI(api_key=KEY) as server, vendor(server) as client:
        assert [model.id async for model in client.models.list()] == ["whisper-1"]
        async with opened(server) as provider:
            await provider.check()


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "gpt-transcribe"])
async def test_the_format_is_refused_alike(model: str) -> None:
    """Models that tell no times refuse the format with the code both sides read."""
    async with FakeOpenAI(api_key=KEY) as server, vendor(server) as client:
        with pytest.raises(openai.BadRequestError) as theirs:
            await client.audio.transcriptions.create(file=AUDIO, model=model, **VERBOSE)
        with pytest.raises(ProviderError) as ours:
            await ask(server, model=model, response_format="verbose_json")
    assert theirs.value.param == "response_format"
    assert theirs.value.code == ours.value.provider_code == "unsupported_value"


async def test_a_wrong_key_is_refused_alike() -> None:
    """The vendor's client sees a failed authentication, and so does ours."""
    async with FakeOpenAI(api_key="another") as server, vendor(server) as client:
        with pytest.raises(openai.AuthenticationError) as theirs:
            await client.audio.transcriptions.create(file=AUDIO, model="whisper-1")
        with pytest.raises(ProviderError) as ours:
            await ask(server)
    assert theirs.value.code == ours.value.provider_code == "invalid_api_key"


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, openai.BadRequestError, False),
        (401, openai.AuthenticationError, False),
        (403, openai.PermissionDeniedError, False),
        (404, openai.NotFoundError, False),
        (422, openai.UnprocessableEntityError, False),
        (429, openai.RateLimitError, True),
        (500, openai.InternalServerError, True),
        (503, openai.InternalServerError, True),
    ],
)
async def test_refusals_are_told_apart_alike(
    status: int, kind: type[openai.APIStatusError], retryable: bool
) -> None:
    """Where the vendor's client would try again our errors say so, and nowhere else."""
    async with FakeOpenAI(faults=Faults(status=status)) as server, vendor(server) as client:
        with pytest.raises(kind) as theirs:
            await client.audio.transcriptions.create(file=AUDIO, model="whisper-1")
        with pytest.raises(ProviderError) as ours:
            await ask(server, StreamParams())
    assert theirs.value.code == ours.value.provider_code == "no_code"
    assert ours.value.retryable is retryable
