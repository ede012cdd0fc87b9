"""How the Deepgram provider fails: typed, and with nothing lost or leaked."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest

from sttgate import (
    ProviderAuth,
    ProviderError,
    ProviderProtocol,
    ProviderQuota,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
    SpeechStarted,
    Transcript,
    UtteranceEnd,
)
from sttgate.testing import ScriptedAudio, collect, silence
from tests.fakes.deepgram_server import DATA_0000, NET_0001, FakeDeepgram, Faults
from tests.fakes.deepgram_speech import SENTENCES
from tests.plugins.deepgram.helpers import (
    KEY,
    PATIENCE,
    dump,
    failure,
    hear,
    opened,
    seconds,
    text,
    until,
)


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "code"),
    [
        (400, ProviderRejected, False, "Bad Request"),
        (401, ProviderAuth, False, "INVALID_AUTH"),
        (402, ProviderAuth, False, "ASR_PAYMENT_REQUIRED"),
        (403, ProviderAuth, False, "INSUFFICIENT_PERMISSIONS"),
        (404, ProviderRejected, False, "ERROR"),
        (408, ProviderTimeout, True, "ERROR"),
        (429, ProviderQuota, True, "TOO_MANY_REQUESTS"),
        (500, ProviderUnavailable, True, "ERROR"),
        (503, ProviderUnavailable, True, "ERROR"),
        (504, ProviderTimeout, True, "ERROR"),
        (200, ProviderProtocol, True, "ERROR"),
    ],
)
async def test_a_refusal_becomes_a_typed_error(
    server: FakeDeepgram, status: int, kind: type[ProviderError], retryable: bool, code: str
) -> None:
    """The status decides the type; Deepgram's own code and the request id are kept."""
    server.faults.refuse = status
    error = await failure(server)
    assert (type(error), error.retryable, error.provider_code) == (kind, retryable, code)
    assert f"status {status}" in str(error)
    assert "(request " in str(error)


async def test_a_refusal_without_deepgrams_json_is_told_by_its_headers(
    server: FakeDeepgram,
) -> None:
    """The real response headers are read, and nothing they hold can repeat the key or break a line."""
    said = {"dg-error": f"No room for {KEY}", "dg-request-id": "abc", "Retry-After": "7"}
    server.faults = Faults(refuse=429, refuse_body="<html>", refuse_headers=said)
    error = await failure(server)
    assert (error.provider_code, error.retry_after) == ("No room for ***", 7.0)
    assert "(request abc)" in str(error)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Fri, 31 Dec 2999 23:59:59 GMT", 3600),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("9" * 400, 3600),
        ("soon", None),
    ],
)
async def test_retry_after_may_be_anything(
    server: FakeDeepgram, header: str, expected: float | None
) -> None:
    """A date becomes seconds from now, an hour is the most, and nonsense is no hint."""
    server.faults = Faults(refuse=503, refuse_headers={"Retry-After": header})
    assert (await failure(server)).retry_after == expected


async def test_a_redirect_is_not_followed(server: FakeDeepgram) -> None:
    """The key never goes to another address than the configured one."""
    async with FakeDeepgram() as other:
        location = {"Location": f"{other.url}/v1/listen?model=nova-3"}
        server.faults = Faults(refuse=302, refuse_headers=location)
        assert isinstance(await failure(server), ProviderProtocol)
        assert not other.connections


@pytest.mark.parametrize(
    ("code", "reason", "kind", "vendor_code"),
    [
        (1008, DATA_0000, ProviderRejected, "DATA-0000"),
        (1011, "See https://dpgr.am/net0000", ProviderTimeout, "NET-0000"),
        (1011, NET_0001, ProviderTimeout, "NET-0001"),
        (1011, "", ProviderUnavailable, "1011"),
        (1000, "", ProviderUnavailable, "1000"),
        (1001, "going away", ProviderUnavailable, "1001"),
        (1003, "", ProviderRejected, "1003"),
        (1012, "", ProviderUnavailable, "1012"),
        (1013, "", ProviderUnavailable, "1013"),
        (4000, "", ProviderUnavailable, "4000"),
    ],
)
async def test_a_close_becomes_a_typed_error(
    server: FakeDeepgram, code: int, reason: str, kind: type[ProviderError], vendor_code: str
) -> None:
    """The close code and the code in its reason decide the type; blame on us is not retried."""
    server.faults = Faults(close_after=1.0, close_code=code, close_reason=reason)
    error = await failure(server)
    assert (type(error), error.provider_code) == (kind, vendor_code)
    assert error.retryable == (kind is not ProviderRejected)


async def test_the_last_complaint_explains_a_close(server: FakeDeepgram) -> None:
    """An Error message goes by, and names the cause when the connection breaks afterwards."""
    complaint = '{"type": "Error", "variant": "SchemaError", "description": "x"}'
    server.faults = Faults(close_after=2.0, edit=lambda message: [complaint])
    assert (await failure(server)).provider_code == "SchemaError"


async def test_a_cut_connection_is_unavailable(server: FakeDeepgram) -> None:
    """A connection that breaks without a Close may work again."""
    server.faults.drop_after = 1.0
    error = await failure(server)
    assert (type(error), error.provider_code) == (ProviderUnavailable, None)


async def test_idle_timeout_of_deepgram_is_named(server: FakeDeepgram) -> None:
    """NET-0001 comes out as such, after the server's Metadata."""
    server.net_timeout = 0.3
    async with opened(server.url, keepalive_interval=8) as provider:
        audio = ScriptedAudio()
        await audio.put(silence(0.1))
        with pytest.raises(ProviderTimeout) as caught:
            await collect(provider, audio)
    assert caught.value.provider_code == "NET-0001"


async def test_a_half_open_connection_is_noticed(server: FakeDeepgram) -> None:
    """A server that answers no ping is given up after one and a half heartbeats."""
    server.faults.deaf_after = 0.1
    async with opened(server.url, heartbeat=0.4) as provider:
        audio = ScriptedAudio()
        await audio.put(silence(0.1))
        begun = time.monotonic()
        with pytest.raises(ProviderTimeout, match="stopped answering"):
            await collect(provider, audio)
        assert time.monotonic() - begun < PATIENCE


async def test_an_upgrade_that_is_never_answered_times_out(server: FakeDeepgram) -> None:
    """Connecting has a deadline."""
    server.faults.hang = True
    assert isinstance(await failure(server, connect_timeout=0.3), ProviderTimeout)
    await until(lambda: server.open == 0)


async def test_nobody_there_is_unavailable() -> None:
    """A refused TCP connection says so."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with opened(url) as provider:
            with pytest.raises(ProviderUnavailable, match="cannot be reached: Connection refused"):
                await collect(provider, ScriptedAudio(seconds(1)))


async def test_an_unknown_name_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be resolved says so."""

    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    async with opened("https://deepgram.invalid") as provider:
        with pytest.raises(ProviderUnavailable, match="name cannot be resolved"):
            await collect(provider, ScriptedAudio(seconds(1)))


async def test_a_server_of_another_kind_is_a_protocol_error() -> None:
    """Something that does not speak HTTP is told apart from something that is down."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with (
        await asyncio.start_server(greet, "127.0.0.1", 0) as mail,
        opened(f"http://127.0.0.1:{mail.sockets[0].getsockname()[1]}") as provider,
    ):
        with pytest.raises(ProviderProtocol):
            await collect(provider, ScriptedAudio(seconds(1)))


async def test_unknown_and_single_malformed_messages_are_skipped(server: FakeDeepgram) -> None:
    """New message types and a broken interim do not disturb a stream."""

    def edit(message: dict[str, Any]) -> list[str | bytes]:
        broken = not message.get("is_final", True) and message["start"] == 0
        return [
            '{"type": "New", "start": "x"}',
            dump(message)[:40] if broken else dump(message).encode(),
        ]

    server.faults.edit = edit
    assert text(await hear(server, seconds(20))) == " ".join(SENTENCES)


@pytest.mark.parametrize("amount", [2, 4, 20])
async def test_a_lost_final_is_an_error(server: FakeDeepgram, amount: float) -> None:
    """A final that cannot be read breaks the stream, so that its words are not lost."""
    first = iter([True])
    server.faults.edit = lambda message: [
        dump(message)[:40] if message.get("is_final") and next(first, False) else dump(message)
    ]
    assert isinstance(await failure(server, amount), ProviderProtocol)


@pytest.mark.parametrize(
    "frame",
    ["{", '{"type": 7}', '{"type": "Results"}', b"\xff", '{"type": "New"}' + " " * 1_100_000],
)
async def test_nothing_but_garbage_is_an_error(server: FakeDeepgram, frame: str | bytes) -> None:
    """Messages that cannot be read one after another, or one that is too large, end the stream."""
    server.faults.edit = lambda message: [frame]
    assert isinstance(await failure(server, 10), ProviderProtocol)


async def test_times_stay_within_the_audio(server: FakeDeepgram) -> None:
    """Absurd times of a server cannot settle audio that was never sent."""

    def edit(message: dict[str, Any]) -> list[str | bytes]:
        for name in ("duration", "timestamp", "last_word_end"):
            if name in message:
                message[name] = 1e308
        return [dump(message)]

    server.faults.edit = edit
    events = await hear(server, seconds(6))
    assert all(event.at <= 6 for event in events if isinstance(event, SpeechStarted | UtteranceEnd))
    assert all(0 <= e.start <= e.end <= 6 for e in events if isinstance(e, Transcript))
