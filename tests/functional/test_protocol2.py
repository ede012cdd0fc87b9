"""Protocol 2: opting in, and the events of a session."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from sttgate.protocols.native import MAX_MESSAGE_BYTES, PATH, SUBPROTOCOL
from sttgate.testing import silence, tone
from tests.functional.native import (
    START,
    STOP,
    Message,
    Serve,
    receive_frames,
    receive_text,
    send,
    send_audio,
    start,
    stop,
    talk,
)
from tests.gateways import assert_silent, finals, receive, receive_until

KEYS = {
    "hello": "event protocol server max_message_bytes providers auth",
    "started": "event seq session_id provider model language encoding sample_rate channels "
    "created_at metadata",
    "transcript": "event text is_final seq utterance_id start end channel speaker language "
    "confidence speech_final",
    "utterance_end": "event text seq utterance_id start end channel reason",
    "speech_started": "event seq t channel",
    "warning": "event seq code message",
    "stopped": "event message session_id full_transcription seq reason duration_s utterances words "
    "provider model stored links usage",
}
NUMBERLESS = ("hello", "ack", "pong", "resumed")  # they belong to the connection


def only(messages: list[Message], event: str) -> list[Message]:
    return [message for message in messages if message["event"] == event]


def assert_numbered(messages: list[Message]) -> None:
    """Assert that a session's events are numbered 1, 2, 3, …"""
    numbers = [message["seq"] for message in messages if message["event"] not in NUMBERLESS]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("?protocol=2", {}),
        ("", {"protocols": [SUBPROTOCOL]}),
        ("", {"protocols": ["something.else", SUBPROTOCOL, "sttgate.bearer.x"]}),
    ],
    ids=["query", "subprotocol", "subprotocol among others"],
)
async def test_opted_in_when_connecting(serve: Serve, query: str, options: dict[str, Any]) -> None:
    """Who opts in with the URL or the subprotocol, which is echoed, is greeted."""
    server = await serve()
    async with server.connect(query, **options) as socket:
        assert socket.protocol == (SUBPROTOCOL if options else None)
        assert await receive(socket) == {
            "event": "hello",
            "protocol": 2,
            "server": "sttgate",
            "max_message_bytes": MAX_MESSAGE_BYTES,
            "providers": ["echo"],
            "auth": False,
        }
        assert (await start(socket))[-1]["seq"] == 1


async def test_opted_in_with_start(serve: Serve) -> None:
    """Who opts in with `start` is not greeted, and speaks protocol 2 from there on."""
    server = await serve()
    async with server.connect() as socket:
        messages = await start(socket, protocol=2)
        messages += await stop(socket)
        assert [message["event"] for message in messages] == ["started", "stopped"]
        assert_numbered(messages)
        assert (await start(socket))[0]["event"] == "started"


@pytest.mark.parametrize("options", [{}, {"protocols": ["something.else"]}])
async def test_not_opted_in(serve: Serve, options: dict[str, Any]) -> None:
    """Who does not opt in, not even with a subprotocol nobody knows, speaks protocol 1."""
    server = await serve()
    async with server.connect("?protocol=1", **options) as socket:
        assert socket.protocol is None
        await send(socket, "start", protocol=1)
        await assert_silent(socket)
        await socket.send_str(STOP)
        assert list(await receive(socket)) == [
            "event",
            "message",
            "session_id",
            "full_transcription",
        ]


async def test_failed_start_opts_in_too(serve: Serve) -> None:
    """A `start` that opts in and fails is answered in protocol 2."""
    server = await serve()
    async with server.connect() as socket:
        await send(socket, "start", protocol=2, provider="nobody")
        assert (await receive(socket))["code"] == "unknown_provider"


@pytest.mark.parametrize("version", ["0", "3", "two", ""])
async def test_unknown_version_is_refused_before_the_upgrade(serve: Serve, version: str) -> None:
    """A version nobody knows is HTTP 400."""
    server = await serve()
    with pytest.raises(WSServerHandshakeError) as refused:
        await server.client.ws_connect(f"{PATH}?protocol={version}")
    assert refused.value.status == 400


async def test_whole_session(serve: Serve) -> None:
    """Every event has the fields of docs/protocol.md, a number, and times on the session clock."""
    server = await serve(script=["one two", "three"], words_per_second=10, pause=0.2)
    messages = await talk(server, tone(1.0))
    for message in messages:
        assert list(message) == KEYS[message["event"]].split()
    assert_numbered(messages)
    assert [m["event"] for m in messages] == [
        "started",
        *("speech_started", "transcript", "transcript", "utterance_end"),
        *("speech_started", "transcript", "utterance_end"),
        "stopped",
    ]
    assert [(m["t"], m["channel"]) for m in only(messages, "speech_started")] == [(0, 0), (0.4, 0)]
    assert [
        (m["text"], m["is_final"], m["utterance_id"], m["start"], m["end"], m["speech_final"])
        for m in only(messages, "transcript")
    ] == [
        ("one", False, 1, 0.0, 0.1, False),
        ("one two", True, 1, 0.0, 0.2, True),
        ("three", True, 2, 0.2, 0.5, True),
    ]
    assert [
        (m["text"], m["utterance_id"], m["start"], m["end"], m["reason"])
        for m in only(messages, "utterance_end")
    ] == [("", 1, 0.0, 0.2, "endpoint"), ("", 2, 0.2, 0.5, "endpoint")]


async def test_started(serve: Serve) -> None:
    """`started` says what the session is."""
    server = await serve()
    before = datetime.now(UTC)
    messages = await talk(
        server, model="m-1", language="en-GB", sample_rate=8000, metadata={"a": 1, "b": None}
    )
    started = messages[0]
    created = datetime.fromisoformat(started.pop("created_at"))
    assert abs((created - before).total_seconds()) < 5
    assert started == {
        "event": "started",
        "seq": 1,
        "session_id": messages[-1]["session_id"],
        "provider": "echo",
        "model": "m-1",
        "language": "en-GB",
        "encoding": "linear16",
        "sample_rate": 8000,
        "channels": 1,
        "metadata": {"a": 1, "b": None},
    }


async def test_audio_may_be_sent_before_started(serve: Serve) -> None:
    """What is sent while the provider loads is queued, and `started` comes before its words."""
    server = await serve("puppet", hang="open", lines=[(0.1, "endpoint", "hello")])
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await socket.send_str(START)
        await socket.send_bytes(silence(0.2))
        await assert_silent(socket)
        server.engine("puppet").release.set()
        messages = await receive_until(socket, "utterance_end")
        messages += await stop(socket)
    assert [m["event"] for m in messages][:2] == ["started", "transcript"]
    assert_numbered(messages)


async def test_words_only_where_asked_for(serve: Serve) -> None:
    """Words with their times come with transcripts whose `start` asks for them."""
    server = await serve(script=["one two"], words_per_second=10)
    for wanted in (False, True):
        messages = await talk(server, silence(0.5), words=wanted)
        for message in only(messages, "transcript"):
            assert ("words" in message) is wanted
    final = next(m for m in messages if m["event"] == "transcript" and m["is_final"])
    assert final["words"] == [
        {"word": "one", "start": 0.0, "end": 0.1, "confidence": 1.0, "speaker": None},
        {"word": "two", "start": 0.1, "end": 0.2, "confidence": 1.0, "speaker": None},
    ]


async def test_interims_only_where_wanted(serve: Serve) -> None:
    """interim_results false leaves only finals, still numbered without a gap."""
    server = await serve()
    messages = await talk(server, silence(1.0), interim_results=False)
    assert [m["is_final"] for m in only(messages, "transcript")] == [True]
    assert_numbered(messages)


async def test_finals_before_an_endpoint_are_one_utterance(serve: Serve) -> None:
    """Finals share the utterance id of their interims until the endpoint; the rest ends with `stop`."""
    server = await serve(
        "puppet",
        lines=[
            (0.1, "interim", "a"),
            (0.2, "final", "a"),
            (0.3, "endpoint", "b"),
            (0.4, "interim", "c"),
            (0.5, "final", "c"),
            (0.5, "utterance_end", ""),
            (0.6, "final", "d"),
        ],
    )
    messages = await talk(server, silence(1.0))
    assert [
        (m["text"], m["utterance_id"], m.get("reason"))
        for m in messages
        if m["event"] in ("transcript", "utterance_end")
    ] == [
        ("a", 1, None),
        ("a", 1, None),
        ("b", 1, None),
        ("", 1, "endpoint"),
        ("c", 2, None),
        ("c", 2, None),
        ("", 2, "timeout"),
        ("d", 3, None),
        ("", 3, "stop"),
    ]
    assert (messages[-1]["utterances"], messages[-1]["words"]) == (3, 4)


async def test_second_session_counts_from_one(serve: Serve) -> None:
    """Numbers, clock and utterances belong to the session, not to the socket."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        sessions = []
        for _ in range(2):
            messages = await start(socket)
            await send_audio(socket, silence(0.3))
            sessions.append(messages + await stop(socket))
    for messages in sessions:
        assert_numbered(messages)
        (final,) = [m for m in only(messages, "transcript") if m["is_final"]]
        assert (final["utterance_id"], final["start"], final["end"]) == (1, 0.0, 0.3)
    assert len({messages[0]["session_id"] for messages in sessions}) == 2


async def test_stop_without_start(serve: Serve) -> None:
    """`stop` without `start` is answered with a whole `stopped` of nothing."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        (stopped,) = await stop(socket)
    assert list(stopped) == KEYS["stopped"].split()
    assert stopped["stored"] == {"transcript": False, "audio": False}
    assert stopped["links"] == {"session": None, "audio": None}


async def test_stopped_tells_the_outcome(serve: Serve) -> None:
    """`stopped` has counts, what is stored, and links that lead there."""
    server = await serve(script=["one two", "three"], words_per_second=10, pause=0.2)
    pcm = tone(1.0)
    messages = await talk(server, pcm, model="m-1")
    stopped = messages[-1]
    session_id = stopped["session_id"]
    assert stopped == {
        "event": "stopped",
        "message": "STT session ended.",
        "session_id": session_id,
        "full_transcription": "one two three",
        "seq": len(messages),
        "reason": "client",
        "duration_s": 1.0,
        "utterances": 2,
        "words": 3,
        "provider": "echo",
        "model": "m-1",
        "stored": {"transcript": True, "audio": True},
        "links": {
            "session": f"/api/v1/sessions/{session_id}",
            "audio": f"/api/v1/sessions/{session_id}/audio",
        },
        "usage": {"audio_s": 1.0},
    }
    async with server.client.get(stopped["links"]["session"]) as response:
        stored = await response.json()
    assert (stored["state"], stored["text"]) == ("completed", "one two three")
    assert [(u["number"], u["text"], u["start"], u["end"]) for u in stored["utterances"]] == [
        (1, "one two", 0.0, 0.2),
        (2, "three", 0.2, 0.5),
    ]
    async with server.client.get(stopped["links"]["audio"]) as response:
        assert response.content_type == "audio/wav"
        assert (await response.read())[44:] == pcm


async def test_frames_are_compact_and_unescaped(serve: Serve) -> None:
    """Protocol 2 keeps the compact, unescaped JSON of protocol 1, base fields first."""
    server = await serve(script=["né"], words_per_second=10)
    async with server.connect("?protocol=2") as socket:
        await socket.send_str(START)
        await socket.send_bytes(silence(0.2))
        await socket.send_str(STOP)
        frames = await receive_frames(socket)
    for frame in frames:
        compact = json.dumps(json.loads(frame), separators=(",", ":"), ensure_ascii=False)
        assert frame == compact
    assert any(f.startswith('{"event":"transcript","text":"né","is_final":true,') for f in frames)
    assert any(f.startswith('{"event":"utterance_end","text":"",') for f in frames)
    assert frames[-1].startswith('{"event":"stopped","message":"STT session ended.","session_id":"')


async def test_second_start_while_one_runs_is_ignored(serve: Serve) -> None:
    """`start` while a session runs is ignored, as in protocol 1."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        messages = await start(socket)
        await send(socket, "start", sample_rate=8000)
        await socket.send_bytes(silence(0.2))
        messages += await stop(socket)
    assert len(only(messages, "started")) == 1
    assert finals(messages) == ["heard 0.2 seconds"]


async def test_acks_tell_what_was_received(serve: Serve) -> None:
    """With `acks`, what was received is told at the interval, without a number, only when news."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await send(socket, "start", acks=0.2)
        await send_audio(socket, silence(0.5))
        acks: list[Message] = []
        while not acks or acks[-1]["received_bytes"] < 16_000:
            acks.append((await receive_until(socket, "ack"))[-1])
        assert list(acks[-1]) == ["event", "received_bytes", "received_s", "stored_s"]
        assert (acks[-1]["received_bytes"], acks[-1]["received_s"]) == (16_000, 0.5)
        assert 0 <= acks[-1]["stored_s"] <= 0.5
        await send(socket, "ping", id=1)
        assert not only(await receive_until(socket, "pong"), "ack")
        await socket.send_str(STOP)
        await receive_until(socket, "stopped")
        await assert_silent(socket, 0.5)


async def test_no_acks_unless_asked_for(serve: Serve) -> None:
    """Without `acks` there are none."""
    server = await serve()
    assert not only(await talk(server, silence(0.3)), "ack")


async def test_text_of_first_frame_is_hello(serve: Serve) -> None:
    """Nothing comes before `hello`, and nothing after it before `start`."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        assert json.loads(await receive_text(socket))["event"] == "hello"
        await assert_silent(socket)
