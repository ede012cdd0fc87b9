"""Protocol 1, facts B10 to B16: recordings from start to stored."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from sttgate.protocols.native import PATH
from sttgate.testing import silence, tone
from tests.functional.base_frames import UTTERANCE_END, session_id_of, stopped, transcript
from tests.functional.native import (
    START,
    STOP,
    Serve,
    receive_frames,
    receive_text,
    send,
    send_audio,
)
from tests.gateways import assert_silent


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": 3},
        {"provider": "nobody"},
        {"encoding": "opus"},
        {"sample_rate": 7999},
        {"keyterms": "no list"},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_b10_failed_start_leaves_a_socket_that_works(
    serve: Serve, fields: dict[str, object]
) -> None:
    """A start that fails is an error of the base shape; `stop` is answered, a new start accepted."""
    server = await serve()
    async with server.connect() as socket:
        await send(socket, "start", **fields)
        error = json.loads(frame := await receive_text(socket))
        assert frame == f'{{"event":"error","message":"{error["message"]}"}}'
        await socket.send_bytes(tone(0.2))
        await socket.send_str(STOP)
        frame = await receive_text(socket)
        assert frame == stopped(session_id_of(frame))
        await socket.send_str(START)
        await socket.send_bytes(tone(0.2))
        await socket.send_str(STOP)
        assert '"heard 0.2 seconds"' in (await receive_frames(socket))[-1]


async def test_b10_success_of_start_is_silent(serve: Serve) -> None:
    """A start that works causes no frame."""
    server = await serve()
    async with server.connect() as socket:
        await socket.send_str(START)
        await assert_silent(socket, 0.5)


async def test_b10_provider_that_refuses(serve: Serve) -> None:
    """A provider that refuses is one error for people; the audio is kept, and a start is accepted."""
    server = await serve(refuse=True, error="auth")
    message = "The speech service is unavailable. Try again."
    async with server.connect() as socket:
        for _ in range(2):
            await socket.send_str(START)
            await socket.send_bytes(tone(0.2))
            assert await receive_text(socket) == f'{{"event":"error","message":"{message}"}}'
            await assert_silent(socket)
        await socket.send_str(STOP)
        frame = await receive_text(socket)
        assert frame == stopped(session_id := session_id_of(frame))
        assert await server.recording(session_id) == tone(0.2)


async def test_b11_blank_texts_are_never_sent(serve: Serve) -> None:
    """Texts are stripped, blank ones left out, and each endpoint is one utterance_end after its final."""
    server = await serve(
        "puppet",
        lines=[
            (0.1, "interim", "  "),
            (0.1, "interim", " hello "),
            (0.2, "final", "\thello\n"),
            (0.3, "final", ""),
            (0.4, "final", " world"),
            (0.5, "endpoint", " "),  # speech_final, as Deepgram sends it, with no words of its own
            (0.5, "utterance_end", ""),  # and its UtteranceEnd after that
            (0.6, "endpoint", ""),  # silence alone is no utterance
            (0.7, "final", "again"),
            (0.7, "utterance_end", ""),
            (0.7, "utterance_end", ""),
        ],
    )
    async with server.connect() as socket:
        await socket.send_str(START)
        await send_audio(socket, silence(0.8))
        await socket.send_str(STOP)
        frames = await receive_frames(socket)
    assert frames == [
        transcript("hello", final=False),
        transcript("hello", final=True),
        transcript("world", final=True),
        UTTERANCE_END,
        transcript("again", final=True),
        UTTERANCE_END,
        stopped(session_id_of(frames[-1]), "hello world again"),
    ]


async def test_b12_last_finals_come_before_stopped(serve: Serve) -> None:
    """Finals that come while finishing precede `stopped`, whose text is all finals joined."""
    server = await serve(
        "puppet",
        hang="end",
        lines=[(0.1, "endpoint", "first "), (0.2, "final", " second"), (0.9, "final", " third ")],
    )
    async with server.connect() as socket:
        await socket.send_str(START)
        await send_audio(socket, silence(0.3))
        assert await receive_text(socket) == transcript("first", final=True)
        await socket.send_str(STOP)
        await asyncio.wait_for(server.engine("puppet").reached.wait(), 5)
        server.engine("puppet").release.set()
        frames = await receive_frames(socket)
    assert frames[-3:-1] == [transcript("third", final=True), UTTERANCE_END]
    assert frames[-1] == stopped(session_id_of(frames[-1]), "first second third")


async def test_b13_frame_of_ten_mebibytes(serve: Serve) -> None:
    """A whole file in one message is taken, every byte of it, also by a client that compresses."""
    server = await serve()
    pcm = silence(327.68)
    assert len(pcm) == 10 * 1024 * 1024
    async with server.connect(max_msg_size=0, compress=15) as socket:
        await socket.send_str(START)
        await socket.send_bytes(pcm)
        await socket.send_str(STOP)
        frames = await receive_frames(socket)
        finals = [frame for frame in frames if '"is_final":true' in frame]
        assert len(finals) == 66
        assert await server.recording(session_id_of(frames[-1])) == pcm


async def test_b13_limit_is_sixteen_mebibytes(serve: Serve) -> None:
    """A message of 16 MiB is taken; one byte more closes the socket with 1009."""
    server = await serve()
    limit = 16 * 1024 * 1024
    async with server.connect(max_msg_size=0) as socket:
        await socket.send_bytes(bytes(limit))
        await socket.send_str(STOP)
        assert json.loads(await receive_text(socket))["event"] == "stopped"
    wire = await server.wire()
    wire.send(WSMsgType.BINARY, b"", limit + 1)
    opcode, payload = await wire.receive()
    assert opcode is WSMsgType.CLOSE
    assert int.from_bytes(payload[:2], "big") == 1009
    wire.vanish()


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1:5173", "https://[::1]:8443"]
)
async def test_b14_pages_of_this_machine_are_admitted(serve: Serve, origin: str) -> None:
    """A page served from this machine may connect, whatever its port."""
    server = await serve()
    async with server.connect(origin=origin) as socket:
        await socket.send_str(STOP)
        assert json.loads(await receive_text(socket))["event"] == "stopped"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "null", "file://", ""]
)
async def test_b14_other_pages_are_refused_before_the_upgrade(serve: Serve, origin: str) -> None:
    """A page from elsewhere gets 403, and no WebSocket."""
    server = await serve()
    with pytest.raises(WSServerHandshakeError) as refused:
        await server.client.ws_connect(PATH, origin=origin)
    assert refused.value.status == 403


async def test_b15_frames_as_browsers_send_them(serve: Serve) -> None:
    """256 ms frames right after `start` are all heard; the one that trails `stop` is dropped."""
    server = await serve()
    frame = tone(0.256)
    assert len(frame) == 8192
    async with server.connect() as socket:
        await socket.send_str(START)
        for _ in range(8):
            await socket.send_bytes(frame)
        await socket.send_str(STOP)
        await socket.send_bytes(frame)
        frames = await receive_frames(socket)
        session_id = session_id_of(frames[-1])
        assert frames[-1] == stopped(session_id, "heard 2.0 seconds")
        await socket.send_bytes(frame)
        await assert_silent(socket)
        assert await server.recording(session_id) == frame * 8


async def test_b16_second_start_while_one_runs_is_ignored(serve: Serve) -> None:
    """`start` while a recording runs changes nothing, not even with other parameters."""
    server = await serve()
    async with server.connect() as socket:
        await socket.send_str(START)
        await socket.send_bytes(silence(0.1))
        await send(socket, "start", sample_rate=8000, protocol=2)
        await socket.send_bytes(silence(0.1))
        await socket.send_str(STOP)
        frames = await receive_frames(socket)
        session_id = session_id_of(frames[-1])
        assert frames[-1] == stopped(session_id, "heard 0.2 seconds")
        assert await server.recording(session_id) == silence(0.2)


async def test_b16_session_with_audio_is_stored_without_any_text(serve: Serve) -> None:
    """A recording in which nobody spoke is kept."""
    server = await serve("puppet")
    async with server.connect() as socket:
        await socket.send_str(START)
        await socket.send_bytes(silence(0.2))
        await socket.send_str(STOP)
        frame = await receive_text(socket)
        session_id = session_id_of(frame)
        assert frame == stopped(session_id)
        stored = await server.stored(session_id)
        assert stored is not None
        assert (stored["state"], stored["text"]) == ("completed", "")
        assert await server.recording(session_id) == silence(0.2)


@pytest.mark.parametrize("audio", [b"", b"\x01"], ids=["nothing", "half a sample"])
async def test_b16_session_without_audio_is_not_stored(serve: Serve, audio: bytes) -> None:
    """A recording without one whole sample leaves nothing behind."""
    server = await serve()
    async with server.connect() as socket:
        await socket.send_str(START)
        await socket.send_bytes(audio)
        await socket.send_str(STOP)
        frame = await receive_text(socket)
        session_id = session_id_of(frame)
        assert frame == stopped(session_id)
        await server.settled()
        assert await server.stored(session_id) is None
        assert await server.recording(session_id) is None


async def test_b16_dropped_socket_ends_the_session_which_is_stored(serve: Serve) -> None:
    """A base client that goes away without `stop` finds its recording stored."""
    server = await serve()
    async with server.connect() as socket:
        await socket.send_str(START)
        await socket.send_bytes(silence(0.2))
        await receive_text(socket)
        (session_id,) = server.gateway.sessions
    await server.settled()
    stored = await server.stored(session_id)
    assert stored is not None
    assert (stored["state"], stored["text"]) == ("completed", "heard 0.2 seconds")
    assert await server.recording(session_id) == silence(0.2)
