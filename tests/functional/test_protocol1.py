"""Protocol 1, row by row of docs/protocol.md: what base clients rely on, byte for byte."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from sttgate.protocols import native as native_protocol
from sttgate.protocols.native import PATH
from sttgate.testing import silence, tone
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

UTTERANCE_END = '{"event":"utterance_end","text":""}'
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


def transcript(text: str, *, final: bool) -> str:
    return f'{{"event":"transcript","text":"{text}","is_final":{"true" if final else "false"}}}'


def stopped(session_id: str, text: str = "") -> str:
    return (
        '{"event":"stopped","message":"STT session ended.",'
        f'"session_id":"{session_id}","full_transcription":"{text}"}}'
    )


def session_id_of(frame: str) -> str:
    session_id: str = json.loads(frame)["session_id"]
    assert str(UUID(session_id)) == session_id
    return session_id


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
