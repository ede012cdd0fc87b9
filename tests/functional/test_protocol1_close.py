"""Protocol 1, fact B4: a Close is answered at once, whatever is going on.

The page of base clients closes one socket and opens the next; as long as the old one is not closed
its buttons do not work. The goal is 100 ms; the bound here is generous, for busy machines.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from aiohttp import WSMsgType

from sttgate.testing import silence
from tests.functional.native import START, STOP, Serve, Server, Wire, until

BOUND = 1.0  # seconds


async def assert_closes_at_once(wire: Wire, state: str) -> None:
    """Send a Close with status 1000 and assert that its echo comes at once, then the end of TCP."""
    began = time.perf_counter()
    wire.send_close(1000)
    while (frame := await wire.receive())[0] is not WSMsgType.CLOSE:
        pass  # what was under way
    took = time.perf_counter() - began
    print(f"Close while {state}: answered after {1000 * took:.1f} ms")
    assert frame[1][:2] == (1000).to_bytes(2, "big")
    assert took < BOUND
    await wire.ended()
    assert time.perf_counter() - began < 2 * BOUND


async def begin(server: Server, seconds: float = 0.3) -> Wire:
    """Start a recording with some audio in it."""
    wire = await server.wire()
    wire.send(WSMsgType.TEXT, START.encode())
    wire.send(WSMsgType.BINARY, silence(seconds))
    await until(lambda: bool(server.gateway.sessions))
    return wire


async def test_b04_close_while_idle(serve: Serve) -> None:
    """Before `start`."""
    server = await serve()
    await assert_closes_at_once(await server.wire(), "idle")


@pytest.mark.parametrize("where", ["open", "begin"])
async def test_b04_close_while_the_provider_connects(serve: Serve, where: str) -> None:
    """While the provider loads or connects; the recording is stored once it has."""
    server = await serve("puppet", hang=where)
    wire = await begin(server)
    (session_id,) = server.gateway.sessions
    await asyncio.wait_for(server.engine("puppet").reached.wait(), 5)
    await assert_closes_at_once(wire, f"connecting ({where})")
    server.engine("puppet").release.set()
    await server.settled()
    assert await server.recording(session_id) == silence(0.3)


async def test_b04_close_while_streaming(serve: Serve) -> None:
    """While words come."""
    server = await serve(script=["one two three"], words_per_second=10, repeat=True)
    wire = await begin(server)
    assert (await wire.receive())[0] is WSMsgType.TEXT
    await assert_closes_at_once(wire, "streaming")
    await server.settled()


async def test_b04_close_while_much_is_being_sent(serve: Serve) -> None:
    """While more is being sent than fits through at once."""
    server = await serve("torrent", interims=50)
    wire = await begin(server, 2.0)
    assert (await wire.receive())[0] is WSMsgType.TEXT
    await assert_closes_at_once(wire, "sending much")
    await server.settled()


async def test_b04_close_while_the_provider_fails(serve: Serve) -> None:
    """While the provider is tried again and again."""
    server = await serve(refuse=True)
    wire = await begin(server)
    await asyncio.sleep(0.2)
    await assert_closes_at_once(wire, "retrying")
    await server.settled()


async def test_b04_close_while_flushing(serve: Serve) -> None:
    """After `stop`, while the provider owes the last words, which are stored all the same."""
    server = await serve("puppet", hang="end", lines=[(9.0, "final", "late")])
    wire = await begin(server)
    (session_id,) = server.gateway.sessions
    wire.send(WSMsgType.TEXT, STOP.encode())
    await asyncio.wait_for(server.engine("puppet").reached.wait(), 5)
    await assert_closes_at_once(wire, "flushing")
    server.engine("puppet").release.set()
    await server.settled()
    stored = await server.stored(session_id)
    assert stored is not None
    assert (stored["state"], stored["text"]) == ("completed", "late")


async def test_b04_close_while_saving(serve: Serve) -> None:
    """After the last words, while the recording is being stored."""
    server = await serve(sections={"recordings": {"use": "limbo"}})
    limbo = server.gateway.recordings
    wire = await begin(server)
    wire.send(WSMsgType.TEXT, STOP.encode())
    await asyncio.wait_for(limbo.reached.wait(), 5)  # type: ignore[attr-defined]
    await assert_closes_at_once(wire, "saving")
    limbo.release.set()  # type: ignore[attr-defined]
    await server.settled()


async def test_b04_close_after_stopped(serve: Serve) -> None:
    """After a recording."""
    server = await serve()
    wire = await begin(server)
    wire.send(WSMsgType.TEXT, STOP.encode())
    while b'"stopped"' not in (await wire.receive())[1]:
        pass
    await assert_closes_at_once(wire, "stopped")


async def test_b04_close_right_after_start_and_audio(serve: Serve, tmp_path: Path) -> None:
    """In the same breath as `start` and audio, which is stored."""
    server = await serve()
    wire = await server.wire()
    wire.send(WSMsgType.TEXT, START.encode())
    wire.send(WSMsgType.BINARY, silence(0.3))
    await assert_closes_at_once(wire, "starting")
    await server.settled()
    (recording,) = (tmp_path / "recordings").rglob("*.wav")
    assert recording.read_bytes()[44:] == silence(0.3)


async def test_b04_old_socket_closes_while_the_new_one_records(serve: Serve) -> None:
    """Start on the page: the idle socket closes at once while the next one is already recording."""
    server = await serve()
    old = await server.wire()
    new = await begin(server)
    await assert_closes_at_once(old, "another socket records")
    new.send(WSMsgType.TEXT, STOP.encode())
    while b'"stopped"' not in (await new.receive())[1]:
        pass
    new.vanish()
