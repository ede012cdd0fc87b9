"""The provider for OpenAI and compatible servers, against a fake of the endpoint on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from sttgate import (
    NotConfigured,
    ProviderAuth,
    ProviderError,
    ProviderProtocol,
    ProviderQuota,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    Recognized,
    StreamParams,
    Transcript,
)
from sttgate.testing import ScriptedAudio, collect, tone
from sttgate_openai import OpenAIOptions, OpenAIProvider, sttgate_providers
from sttgate_openai.answer import read_answer
from tests.fakes.openai_server import FakeOpenAI, Faults, Style
from tests.speech import SECOND, assert_in_order, chunks, reading, spoken

KEY = "sk-secret-4711"


@asynccontextmanager
async def opened(server: FakeOpenAI, **options: Any) -> AsyncIterator[OpenAIProvider]:
    options = {"base_url": server.url, "api_key": SecretStr(KEY)} | options
    provider = OpenAIProvider(OpenAIOptions(**options))
    await provider.open()
    try:
        yield provider
    finally:
        await provider.close()


async def ask(
    server: FakeOpenAI, params: StreamParams | None = None, seconds: float = 2, **options: Any
) -> Recognized:
    """Have one utterance recognised."""
    async with opened(server, **options) as provider:
        return await provider.recognize(tone(seconds), params or StreamParams())


async def test_speech_becomes_finals_with_words() -> None:
    """Each utterance is one request, and its words get the times the server tells."""
    async with FakeOpenAI(api_key=KEY) as server, opened(server) as provider:
        events = await collect(provider, ScriptedAudio(chunks(reading()[: 12 * SECOND])))
    assert len(server.requests) == len(spoken(events)) >= 2
    assert_in_order(events, 12)
    for final in spoken(events):
        assert [word.text for word in final.words] == final.text.split()
        assert final.confidence == pytest.approx(0.8187, abs=1e-3)
        first = final.words[0]
        assert first.start == final.start
        assert first.end - first.start == pytest.approx(0.5)


async def test_a_request_says_what_was_configured() -> None:
    """Options become form fields, the audio a WAV file, the key a bearer token."""
    async with FakeOpenAI(api_key=KEY) as server:
        await ask(server, model="whisper-9", language="en-GB", prompt="Hi.", temperature=0.2)
    (request,) = server.requests
    assert list(request.fields.items()) == [
        ("model", "whisper-9"),
        ("language", "en"),
        ("prompt", "Hi."),
        ("temperature", "0.2"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
    ]
    assert request.authorization == f"Bearer {KEY}"
    assert (request.sample_rate, request.seconds) == (16_000, 2.0)


async def test_a_request_says_what_the_stream_asked_for() -> None:
    """Model, language, key terms and options of the session win over the configured ones."""
    params = StreamParams(
        model="mine",
        language="auto",
        keyterms=("Ada", "Grace"),
        provider_options={"temperature": 0, "response_format": "json"},
    )
    async with FakeOpenAI() as server:
        await ask(server, params, language="de", prompt="Names:")
    (request,) = server.requests
    assert dict(request.fields) == {
        **{"model": "mine", "prompt": "Names: Ada, Grace"},
        **{"temperature": "0", "response_format": "json"},
    }


async def test_wrong_options_of_a_stream_are_explained() -> None:
    """An option that does not exist, or a connection option, is refused by name."""
    async with FakeOpenAI() as server:
        for name in ("tempo", "api_key", "base_url"):
            params = StreamParams(provider_options={name: "x"})
            with pytest.raises(ProviderRejected, match=f"provider_options.{name}"):
                await ask(server, params)
    assert not server.requests


@pytest.mark.parametrize("refuses_all", [False, True])
async def test_a_model_that_refuses_verbose_json_is_asked_for_json(refuses_all: bool) -> None:
    """The refusal costs one request for each model; words are then estimated."""
    faults = Faults(refuses_verbose=refuses_all)
    async with (
        FakeOpenAI(faults=faults) as server,
        opened(server, model="gpt-4o-transcribe") as provider,
    ):
        events = await collect(provider, ScriptedAudio(chunks(reading()[: 12 * SECOND])))
        formats = [request.fields["response_format"] for request in server.requests]
        # Utterances of a backlog may be under way before the first refusal is back.
        assert formats.count("verbose_json") < formats.count("json") + 1
        before = len(formats)
        await provider.recognize(tone(1), StreamParams())
        assert [r.fields["response_format"] for r in server.requests[before:]] == ["json"]
    assert_in_order(events, 12)
    for final in spoken(events):
        assert [word.text for word in final.words] == final.text.split()
        assert final.confidence is None


async def test_verbose_json_can_be_insisted_on() -> None:
    """Whoever configures verbose_json gets the server's refusal instead of less."""
    async with FakeOpenAI() as server:
        with pytest.raises(ProviderRejected, match="not compatible with model") as caught:
            await ask(server, model="gpt-4o-transcribe", response_format="verbose_json")
    assert caught.value.provider_code == "unsupported_value"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("style", "words", "language", "word_confidence"),
    [("openai", 4, None, None), ("whisper.cpp", 4, "en", 0.9), ("vllm", 0, None, None)],
)
async def test_answers_of_other_servers_are_understood(
    style: Style, words: int, language: str | None, word_confidence: float | None
) -> None:
    """Words beside the segments, inside them, or none at all."""
    async with FakeOpenAI(style=style) as server:
        said = await ask(server)
    assert said.text == "word0 word1 word2 word3"
    assert [word.text for word in said.words] == said.text.split()[:words]
    assert {word.confidence for word in said.words} <= {word_confidence}
    assert said.language == language


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"text": "  a \n b "}, "a b"),
        ({"text": "a", "words": None, "segments": "none", "language": 7}, "a"),
        ({"text": "a", "words": [{"word": "a", "start": 0, "end": 2e9}]}, "a"),
        ({"text": "a", "words": [{"word": "a", "start": float("nan"), "end": 1}]}, "a"),
        ({"text": "a", "words": [{"word": "a", "start": 1, "end": 0}, 5, {}]}, "a"),
        ({"text": "x", "segments": [{"no_speech_prob": 0.9, "avg_logprob": -1.5}]}, ""),
    ],
)
def test_odd_answers_lose_their_words_only(answer: dict[str, Any], text: str) -> None:
    """Times that make no sense are dropped, and segments without speech have no text."""
    said = read_answer(json.dumps(answer).encode(), 2.0)
    assert (said.text, said.words, said.confidence, said.language) == (text, (), None, None)


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ({"language": "de"}, "de"),
        ({"language": "german"}, None),
        ({"languages": [{"code": "de"}, {"code": "en"}]}, "de"),
        ({"languages": ["de"]}, None),
        ({"languages": []}, None),
    ],
)
def test_the_language_is_a_tag(said: dict[str, Any], language: str | None) -> None:
    """Codes are passed on, names are not; of several languages the first counts."""
    assert read_answer(json.dumps(said | {"text": "a"}).encode(), 2.0).language == language


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"text": 5}', b"\xff\xfe", b"{}"])
async def test_an_answer_that_is_no_transcript_is_a_protocol_error(body: bytes) -> None:
    """Something else at the address is told apart from a server that fails."""
    async with FakeOpenAI(faults=Faults(body=body)) as server:
        with pytest.raises(ProviderProtocol, match="check that base_url"):
            await ask(server)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (307, ProviderProtocol),
        (400, ProviderRejected),
        (401, ProviderAuth),
        (402, ProviderAuth),
        (403, ProviderAuth),
        (404, ProviderRejected),
        (408, ProviderTimeout),
        (413, ProviderRejected),
        (422, ProviderRejected),
        (429, ProviderQuota),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
        (504, ProviderTimeout),
    ],
)
async def test_a_refusal_is_typed(status: int, kind: type[ProviderError]) -> None:
    """The status decides what the host may do about it, and the server's code is kept."""
    faults = Faults(status=status, headers={"Location": "/v1/models"})
    async with FakeOpenAI(faults=faults) as server:
        with pytest.raises(ProviderError, match=f"status {status}") as caught:
            await ask(server)
    assert type(caught.value) is kind
    assert caught.value.provider_code == "no_code"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("1e9", 3600.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("nan", None),
    ],
)
async def test_retry_after_is_passed_on(header: str, seconds: float | None) -> None:
    """A server that says when to come again is believed, within reason."""
    faults = Faults(status=429, headers={"Retry-After": header})
    async with FakeOpenAI(faults=faults) as server:
        with pytest.raises(ProviderQuota) as caught:
            await ask(server)
    assert caught.value.retry_after == seconds


async def test_milliseconds_are_more_exact() -> None:
    """OpenAI says when to come again in two headers; the finer one counts."""
    headers = {"Retry-After": "1", "retry-after-ms": "250"}
    async with FakeOpenAI(faults=Faults(status=429, headers=headers)) as server:
        with pytest.raises(ProviderQuota) as caught:
            await ask(server)
    assert caught.value.retry_after == 0.25


@pytest.mark.parametrize("code", ["insufficient_quota", "project_spend_limit_exceeded"])
async def test_an_account_without_credit_is_no_matter_of_time(code: str) -> None:
    """OpenAI refuses it with 429 like too many requests, but waiting does not help."""
    error = {"message": "You exceeded your current quota.", "type": "insufficient_quota"}
    body = json.dumps({"error": error | {"code": code}}).encode()
    async with FakeOpenAI(faults=Faults(status=429, body=body)) as server:
        with pytest.raises(ProviderAuth, match="no credit left") as caught:
            await ask(server)
    assert caught.value.provider_code == code
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[1]", b'{"error": "bad"}', b'{"error": 5}', b'{"detail": [{"loc": ["file"]}]}',
        b'{"error": {"message": ["x"], "code": 5}}', b"\x00" * 100_000,
    ],
)  # fmt: skip
async def test_a_refusal_may_have_any_body(body: bytes) -> None:
    """What the server sends with a refusal never hides the refusal."""
    async with FakeOpenAI(faults=Faults(status=500, body=body or b"-")) as server:
        with pytest.raises(ProviderUnavailable, match="status 500") as caught:
            await ask(server)
    assert len(str(caught.value)) < 500


async def test_no_error_has_the_key() -> None:
    """A server that repeats a wrong key, whole or in part, finds no way into our messages."""
    async with FakeOpenAI(api_key="another") as server:
        with pytest.raises(ProviderAuth, match="check its API key") as caught:
            await ask(server)
    assert "4711" not in str(caught.value)
    assert caught.value.provider_code == "invalid_api_key"
    faults = Faults(
        status=400, body=b'{"error": {"message": "bad sk-se***4711", "code": "sk-4711"}}'
    )
    async with FakeOpenAI(faults=faults) as server:
        with pytest.raises(ProviderRejected) as caught_too:
            await ask(server)
    assert "4711" not in f"{caught_too.value} {caught_too.value.provider_code}"
    assert "4711" not in repr(OpenAIOptions(api_key=SecretStr(KEY)))


async def test_a_server_that_hangs_times_out() -> None:
    """A request has a deadline."""
    async with FakeOpenAI(faults=Faults(hang=True)) as server:
        with pytest.raises(ProviderTimeout, match=r"0\.3 s"):
            await ask(server, timeout=0.3)


async def test_a_connection_that_breaks_is_unavailable() -> None:
    """A server that goes away in the middle of its answer, or is not there, may be tried again."""
    async with FakeOpenAI(faults=Faults(drop=True)) as server:
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            await ask(server)
    with pytest.raises(ProviderUnavailable, match="Connection refused"):
        await ask(server)


async def test_requests_under_way_are_bounded() -> None:
    """No more requests run at once than configured."""
    async with FakeOpenAI() as server, opened(server, concurrency=2, max_utterance=3) as provider:
        server.delay = 0.1
        pcm = chunks(reading()[: 15 * SECOND])
        await asyncio.gather(*(collect(provider, ScriptedAudio(pcm)) for _ in range(3)))
    assert server.most_running == 2


async def test_cancelling_a_stream_ends_its_requests() -> None:
    """A stream that is given up leaves no request behind."""
    async with FakeOpenAI() as server, opened(server) as provider:
        server.delay = 30
        listening = asyncio.create_task(
            collect(provider, ScriptedAudio(chunks(reading()[: 4 * SECOND])))
        )
        async with asyncio.timeout(10):
            while not server.running:  # noqa: ASYNC110 - the server is another process's, in life
                await asyncio.sleep(0.01)
        listening.cancel()
        await asyncio.wait({listening}, timeout=1)
        assert listening.cancelled()


async def test_interims_are_requests_too() -> None:
    """With an interval, the utterance so far is sent again and again."""
    async with FakeOpenAI() as server, opened(server, interim_interval=0.5) as provider:
        assert provider.capabilities.interim_results
        events = await collect(provider, ScriptedAudio(chunks(reading()[: 3 * SECOND])))
    shown = [event for event in events if isinstance(event, Transcript) and not event.is_final]
    assert len(server.requests) >= len(shown) + len(spoken(events))
    assert_in_order(events, 3)


async def test_check_proves_address_and_key() -> None:
    """The list of models is asked for: a wrong key is told, a server without such a list is fine."""
    async with FakeOpenAI(api_key=KEY) as server:
        async with opened(server) as provider:
            await provider.check()
        server.has_models = False
        async with opened(server) as provider:
            await provider.check()
        async with opened(server, api_key=SecretStr("wrong")) as provider:
            with pytest.raises(ProviderAuth):
                await provider.check()
    async with opened(server) as provider:
        with pytest.raises(ProviderUnavailable):
            await provider.check()
    assert not server.requests


async def test_it_has_to_be_opened() -> None:
    """Before open there is no connection pool."""
    provider = OpenAIProvider(OpenAIOptions(api_key=SecretStr(KEY)))
    with pytest.raises(ProviderUnavailable, match="not open"):
        await provider.check()
    with pytest.raises(ProviderUnavailable, match="not open"):
        await provider.recognize(tone(1), StreamParams())


async def test_without_a_key_only_openai_itself_is_skipped() -> None:
    """A server of one's own may need none, and then gets none."""
    with pytest.raises(NotConfigured, match="OPENAI_API_KEY"):
        OpenAIProvider(OpenAIOptions())
    async with FakeOpenAI() as server:
        await ask(server, api_key=SecretStr(""))
    assert server.requests[0].authorization is None


@pytest.mark.parametrize(
    "url",
    ["http://h:1/v1", "http://h:1/v1/", "http://h:1/v1/audio/transcriptions"],
)
def test_the_address_may_be_written_in_several_ways(url: str) -> None:
    """The path of the endpoint is cut."""
    assert OpenAIOptions(base_url=url).base_url == "http://h:1/v1"


@pytest.mark.parametrize("url", ["localhost:8000", "ws://h/v1", "http://u:p@h/v1", "http://h/?k=1"])
def test_a_wrong_address_is_refused(url: str) -> None:
    """An address with something else in it is a mistake that is told at start."""
    with pytest.raises(ValidationError, match="must be"):
        OpenAIOptions(base_url=url)


def test_it_is_offered() -> None:
    """The hook offers one provider with options and a summary."""
    (spec,) = sttgate_providers()
    assert (spec.name, spec.factory, spec.options) == ("openai", OpenAIProvider, OpenAIOptions)
    assert spec.summary
