"""Protocol 1, facts B1 to B9: the frames base clients rely on, byte for byte."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import WSMsgType

from sttgate.protocols import native as native_protocol
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

BASE_KEYS = {
    "transcript": ["event", "text", "is_final"],
    "utterance_end": ["event", "text"],
    "stopped": ["event", "message", "session_id", "full_transcription"],
    "error": ["event", "message"],
}
# Every extension field of `start`, but not the one that opts in.
EXTENSIONS: dict[str, object] = {
    "provider": "echo",
    "model": "some-model",
    "language": "en",
    "encoding": "linear16",
    "sample_rate": 16000,
    "channels": 1,
    "multichannel": False,
    "interim_results": True,
    "endpointing_ms": 300,
    "utterance_end_ms": 1000,
    "keyterms": ["sttgate"],
    "punctuate": True,
    "profanity_filter": True,
    "diarize": True,
    "metadata": {"room": "b"},
    "title": "a title",
    "client_ref": "ref-1",
    "store": {"transcript": True, "audio": True},
    "provider_options": {"tier": "x"},
    "words": True,
    "acks": True,
    "resumable": True,
    "resume": {"session_id": "x", "token": "y", "last_seq": 3},
    "no_such_field": 1,
}


async def test_b01_frames_are_compact_unescaped_and_in_order(serve: Serve) -> None:
    """A whole recording is, byte for byte, what the original server sends."""
    server = await serve(script=["héllo wörld 😀", "“ça va”"], words_per_second=10, pause=0.1)
    async with server.connect() as socket:
        await socket.send_str(START)
        await send_audio(socket, silence(0.7))
        await socket.send_str(STOP)
        frames = await receive_frames(socket)
    assert frames == [
        transcript("héllo", final=False),
        transcript("héllo wörld", final=False),
        transcript("héllo wörld 😀", final=True),
        UTTERANCE_END,
        transcript("“ça", final=False),
        transcript("“ça va”", final=True),
        UTTERANCE_END,
        stopped(session_id_of(frames[-1]), "héllo wörld 😀 “ça va”"),
    ]


async def test_b01_bytes_on_the_wire(serve: Serve) -> None:
    """Frames are unfragmented, uncompressed UTF-8 text, and nothing is added to them."""
    server = await serve(script=["né"], words_per_second=10)
    wire = await server.wire()
    wire.send(WSMsgType.TEXT, START.encode())
    wire.send(WSMsgType.BINARY, silence(0.2))
    wire.send(WSMsgType.TEXT, STOP.encode())
    assert await wire.receive() == (WSMsgType.TEXT, transcript("né", final=True).encode())
    assert await wire.receive() == (WSMsgType.TEXT, UTTERANCE_END.encode())
    opcode, payload = await wire.receive()
    assert opcode is WSMsgType.TEXT
    assert payload == stopped(session_id_of(payload.decode()), "né").encode()
    wire.vanish()


async def test_b02_socket_stays_open_after_stopped(serve: Serve) -> None:
    """After `stopped` the server sends nothing and does not close."""
    server = await serve()
    async with server.connect() as socket:
        await socket.send_str(START)
        await socket.send_bytes(tone(0.2))
        await socket.send_str(STOP)
        await receive_frames(socket)
        await assert_silent(socket, 1.0)
        await socket.send_str(STOP)
        assert json.loads(await receive_text(socket))["event"] == "stopped"


async def test_b02_dead_peer_is_noticed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that answers no ping is taken for dead, and its session is stored."""
    monkeypatch.setattr(native_protocol, "_HEARTBEAT", 0.4)
    server = await serve()
    async with server.connect(autoping=False) as socket:
        await socket.send_str(START)
        await socket.send_bytes(tone(0.2))
        async with asyncio.timeout(10):
            while (await socket.receive()).type not in (WSMsgType.CLOSED, WSMsgType.ERROR):
                pass
        await server.settled()


async def test_b03_second_recording_on_the_same_socket(serve: Serve) -> None:
    """Start works again after `stopped`, and the second text has nothing of the first."""
    server = await serve(script=["one two", "three four"], words_per_second=10, pause=0.1)
    ids = []
    async with server.connect() as socket:
        for seconds, text in ((0.2, "one two"), (0.5, "one two three four")):
            await socket.send_str(START)
            await send_audio(socket, silence(seconds))
            await socket.send_str(STOP)
            frames = await receive_frames(socket)
            ids.append(session_id_of(frames[-1]))
            assert frames[-1] == stopped(ids[-1], text)
            recording = await server.recording(ids[-1])
            assert recording is not None
            assert len(recording) == seconds * 32_000
    assert ids[0] != ids[1]


async def test_b05_idle_socket_is_silent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before `start` the server sends nothing but WebSocket pings, and never closes."""
    monkeypatch.setattr(native_protocol, "_HEARTBEAT", 0.3)
    server = await serve()
    async with server.connect(autoping=False) as socket:
        loop, pings = asyncio.get_running_loop(), 0
        end = loop.time() + 1.5
        while (left := end - loop.time()) > 0:
            try:
                message = await socket.receive(timeout=left)
            except TimeoutError:
                break
            assert message.type is WSMsgType.PING
            pings += 1
            await socket.pong(message.data)
        assert pings >= 2
        await socket.send_str(STOP)
        while (message := await socket.receive(timeout=5)).type is WSMsgType.PING:
            pass
        assert message.data == stopped(session_id_of(message.data))


async def test_b06_audio_outside_a_recording_is_dropped_silently(serve: Serve) -> None:
    """Audio before `start` and after `stop` causes no frame, and is not recorded."""
    server = await serve()
    async with server.connect() as socket:
        await send_audio(socket, tone(0.3))
        await socket.send_str(START)
        await socket.send_bytes(silence(0.1))
        await socket.send_str(STOP)
        await send_audio(socket, tone(0.3))
        frames = await receive_frames(socket)
        text = "heard 0.1 seconds"
        session_id = session_id_of(frames[-1])
        assert frames[-3:] == [
            transcript(text, final=True),
            UTTERANCE_END,
            stopped(session_id, text),
        ]
        await send_audio(socket, tone(0.3))
        await assert_silent(socket)
        assert await server.recording(session_id) == silence(0.1)


async def test_b07_stop_without_start(serve: Serve) -> None:
    """`stop` without `start` is answered with a UUID and no text, each time."""
    server = await serve()
    async with server.connect() as socket:
        ids = set()
        for _ in range(2):
            await socket.send_str(STOP)
            frame = await receive_text(socket)
            ids.add(session_id := session_id_of(frame))
            assert frame == stopped(session_id)
            assert await server.stored(session_id) is None
        assert len(ids) == 2


@pytest.mark.parametrize(
    "nonsense",
    [
        '{"event":"no_such_event"}',
        '{"event":"ping","id":1}',
        '{"event":"finalize"}',
        '{"event":"pause"}',
        '{"event":"mark","label":"x"}',
        '{"event":"metadata","metadata":7}',
        '{"event":7}',
        '{"events":"start"}',
        '{"event":"start"',
        '[{"event":"start"}]',
        '"start"',
        "null",
        "start",
        "",
        '{"event":"\\ud800"}',
        '{"event":"x","y":' + "[" * 5000 + "]" * 5000 + "}",
        '{"event":"x","y":"' + "z" * 100_000 + '"}',
    ],
    ids=lambda text: text[:25],
)
async def test_b08_nonsense_is_ignored_silently(serve: Serve, nonsense: str) -> None:
    """What a base server does not know causes no frame, before and in a recording, and harms nothing."""
    server = await serve()
    async with server.connect() as socket:
        await socket.send_str(nonsense)
        await socket.send_str(START)
        await socket.send_str(nonsense)
        await socket.send_bytes(silence(0.1))
        await socket.send_str(nonsense)
        await socket.send_str(STOP)
        text = "heard 0.1 seconds"
        frames = await receive_frames(socket)
        assert frames == [
            transcript(text, final=False),
            transcript(text, final=True),
            UTTERANCE_END,
            stopped(session_id_of(frames[-1]), text),
        ]


async def test_b08_text_that_is_no_utf8(serve: Serve) -> None:
    """Text that is not UTF-8 closes the socket with 1007, as WebSocket demands; the audio is kept."""
    server = await serve()
    wire = await server.wire()
    wire.send(WSMsgType.TEXT, START.encode())
    wire.send(WSMsgType.BINARY, silence(0.1))
    await wire.receive()
    (session_id,) = server.gateway.sessions
    wire.send(WSMsgType.TEXT, b'{"event":"\xff"}')
    while (frame := await wire.receive())[0] is not WSMsgType.CLOSE:
        pass
    assert int.from_bytes(frame[1][:2], "big") == 1007
    await wire.ended()
    await server.settled()
    assert await server.recording(session_id) == silence(0.1)


async def test_b09_extension_fields_never_change_the_frames(serve: Serve) -> None:
    """`start` with every extension field but `protocol` gets frames of the base shapes only."""
    server = await serve(script=["one two three"], words_per_second=10, pause=0.1)
    async with server.connect() as socket:
        await send(socket, "start", **EXTENSIONS)
        await send_audio(socket, silence(0.5))
        await send(socket, "stop", discard=True)
        frames = await receive_frames(socket)
        session_id = session_id_of(frames[-1])
        assert frames[-1] == stopped(session_id, "one two three")
        for frame in frames:
            message = json.loads(frame)
            assert list(message) == BASE_KEYS[message["event"]]
        stored = await server.stored(session_id)
    assert stored is not None  # discard is of protocol 2 as well
    assert stored["metadata"] == {"room": "b"}
    assert (stored["title"], stored["client_ref"]) == ("a title", "ref-1")
    assert (stored["model"], stored["language"]) == ("some-model", "en")


async def test_b09_parameters_work_without_the_opt_in(serve: Serve) -> None:
    """A parameter such as interim_results changes the recognition of a base client too."""
    server = await serve(script=["one two three"], words_per_second=10)
    async with server.connect() as socket:
        await send(socket, "start", interim_results=False)
        await send_audio(socket, silence(0.5))
        await socket.send_str(STOP)
        frames = await receive_frames(socket)
        assert frames[0] == transcript("one two three", final=True)
