"""Both protocols: how sessions and sockets end when nobody says goodbye, or the server does."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from pathlib import Path

import pytest
from aiohttp import WSMsgType

from sttgate.protocols.native import connection
from sttgate.session import session as session_module
from sttgate.testing import silence, tone
from tests.functional.native import (
    START,
    STOP,
    Serve,
    receive_frames,
    send,
    send_audio,
    start,
    until,
)
from tests.gateways import receive_until

MIB = 1024 * 1024


@pytest.mark.parametrize("query", ["", "?protocol=2"])
async def test_client_that_vanishes(serve: Serve, query: str) -> None:
    """A client whose connection breaks finds its session stored, with all that was heard."""
    server = await serve()
    wire = await server.wire(query)
    wire.send(WSMsgType.TEXT, START.encode())
    wire.send(WSMsgType.BINARY, tone(0.5))
    while b'"transcript"' not in (await wire.receive())[1]:
        pass
    (session_id,) = server.gateway.sessions
    wire.vanish()
    await server.settled()
    stored = await server.stored(session_id)
    assert stored is not None
    assert (stored["state"], stored["reason"]) == ("completed", "client")
    assert stored["text"] == "heard 0.5 seconds"
    assert await server.recording(session_id) == tone(0.5)


async def test_client_that_vanishes_while_flushing(serve: Serve) -> None:
    """A client that breaks off after `stop` finds the last words stored."""
    server = await serve("puppet", hang="end", lines=[(9.0, "final", "last words")])
    wire = await server.wire()
    wire.send(WSMsgType.TEXT, START.encode())
    wire.send(WSMsgType.BINARY, tone(0.5))
    wire.send(WSMsgType.TEXT, STOP.encode())
    await asyncio.wait_for(server.engine("puppet").reached.wait(), 5)
    (session_id,) = server.gateway.sessions
    wire.vanish()
    await asyncio.sleep(0.1)
    server.engine("puppet").release.set()
    await server.settled()
    stored = await server.stored(session_id)
    assert stored is not None
    assert (stored["state"], stored["text"]) == ("completed", "last words")


@pytest.mark.parametrize("query", ["", "?protocol=2"])
async def test_shutdown_ends_sessions_then_closes(serve: Serve, tmp_path: Path, query: str) -> None:
    """A server that stops sends the last finals, `stopped`, and Close 1001, to idle sockets too."""
    server = await serve()
    async with server.connect(query) as idle, server.connect(query) as socket:
        await send(socket, "start")
        await send_audio(socket, tone(0.5))
        await receive_until(socket, "transcript")
        stopping = asyncio.create_task(server.client.server.close())
        frames = await receive_frames(socket)
        stopped = json.loads(frames[-1])
        assert '"is_final":true' in "".join(frames)
        assert stopped["full_transcription"] == "heard 0.5 seconds"
        if query:
            assert stopped["reason"] == "shutdown"
            assert stopped["stored"] == {"transcript": True, "audio": True}
            await receive_until(idle, "hello")
        for each in (socket, idle):
            message = await each.receive(timeout=5)
            assert message.type is WSMsgType.CLOSE
            assert message.data == 1001
        await asyncio.wait_for(stopping, 10)
    recording = tmp_path / "recordings"
    assert [path.stat().st_size for path in recording.rglob("*.wav")] == [44 + 16_000]


async def test_shutdown_with_a_provider_that_hangs(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that does not finish delays the shutdown for a while, and is not waited for longer."""
    monkeypatch.setattr(session_module, "DRAIN_TIMEOUT", 0.3)
    server = await serve("puppet", hang="end", lines=[(0.1, "final", "hello")])
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await start(socket)
        await send_audio(socket, tone(0.5))
        await receive_until(socket, "transcript")
        stopping = asyncio.create_task(server.client.server.close())
        stopped = (await receive_until(socket, "stopped"))[-1]
        assert (stopped["reason"], stopped["full_transcription"]) == ("shutdown", "hello")
        assert (await socket.receive(timeout=5)).data == 1001
        await asyncio.wait_for(stopping, 10)


async def test_start_during_shutdown_is_refused(serve: Serve) -> None:
    """While the server drains, a `start` is an error that says to try again."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        server.gateway.draining = True
        await send(socket, "start")
        error = (await receive_until(socket, "error"))[-1]
        assert (error["code"], error["retryable"]) == ("shutdown", True)


async def test_nothing_follows_stopped(serve: Serve) -> None:
    """`stopped` is the last event of a session, whatever is sent behind `stop`."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await start(socket)
        await socket.send_bytes(tone(0.2))
        await send(socket, "stop")
        for number in range(300):
            await send(socket, "mark", label=str(number))
            await send(socket, "pause")
            if not number % 10:
                await asyncio.sleep(0.001)
        await receive_until(socket, "stopped")
        await send(socket, "ping", id="last")
        after = await receive_until(socket, "pong")
    assert {message["event"] for message in after} <= {"error", "pong"}
    assert not [message for message in after if "seq" in message]
    await server.settled()


async def test_client_that_does_not_read_is_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that lets everything lie costs little memory, is cut off, and its session is stored."""
    monkeypatch.setattr(connection, "_WRITE_TIMEOUT", 1.0)
    server = await serve("torrent", interims=50)
    wire = await server.wire("?protocol=2", receive_buffer=4096)
    wire.send(WSMsgType.TEXT, START.encode())
    await until(lambda: bool(server.gateway.sessions))
    (session_id,) = server.gateway.sessions
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(100):
            wire.send(WSMsgType.BINARY, silence(0.3))
            await asyncio.sleep(0.02)
            if wire.cut:
                break
        await server.settled(30)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    said = server.engine("torrent").said
    print(f"{said / MIB:.0f} MiB were said, memory peaked at {peak / MIB:.1f} MiB")
    assert said > 32 * MIB
    assert peak < 16 * MIB
    await wire.ended()
    stored = await server.stored(session_id)
    assert stored is not None
    assert stored["state"] == "completed"
    assert stored["text"].count("so") == round(stored["duration"] / 0.3)


async def test_client_that_does_not_read_one_long_message(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single message that fills every buffer does not hold the connection for ever either."""
    monkeypatch.setattr(connection, "_WRITE_TIMEOUT", 0.5)
    server = await serve("torrent", size=15 * MIB)
    wire = await server.wire(receive_buffer=4096)
    wire.send(WSMsgType.TEXT, START.encode())
    wire.send(WSMsgType.BINARY, silence(0.1))
    await until(lambda: bool(server.gateway.sessions))
    began = asyncio.get_running_loop().time()
    await server.settled()
    assert asyncio.get_running_loop().time() - began < 6
    await wire.ended()


async def test_client_that_asks_and_does_not_read(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Questions whose answers nobody reads cost no memory without bound, and the client is cut off."""
    monkeypatch.setattr(connection, "_WRITE_TIMEOUT", 0.5)
    server = await serve()
    wire = await server.wire("?protocol=2", receive_buffer=4096)
    question = json.dumps({"event": "ping", "id": "x" * 60_000}).encode()
    async with asyncio.timeout(30):
        while not wire.cut:
            wire.send(WSMsgType.TEXT, question)
            await wire.sent()
    await wire.ended()
