"""What one caller can take of the gateway."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from sttgate import gateway as gateway_module
from sttgate.admission import Pace
from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.access.doors import OpenDoor, bearer
from tests.functional.native import Serve
from tests.gateways import assert_silent, receive_until


async def start(socket: Any) -> Any:
    """Start a session; return the answer."""
    await socket.send_json({"event": "start"})
    while (message := await socket.receive_json(timeout=10))["event"] == "hello":
        pass
    return message


async def test_sessions_per_key(open_door: OpenDoor) -> None:
    """A key has its sessions and no more, its own limit first; others are not touched."""
    door = await open_door(limits={"sessions_per_key": 2})
    many, one = door.key(), door.key(max_sessions=1)
    async with (
        door.connect(headers=bearer(many)) as first,
        door.connect(headers=bearer(many)) as second,
        door.connect(headers=bearer(many)) as third,
        door.connect(headers=bearer(one)) as other,
        door.connect(headers=bearer(one)) as last,
    ):
        assert (await start(first))["event"] == "started"
        assert (await start(second))["event"] == "started"
        refused = await start(third)
        assert (refused["code"], refused["retryable"]) == ("capacity", True)
        assert "2 sessions" in refused["message"]
        assert (await start(other))["event"] == "started"
        assert (await start(last))["code"] == "capacity"
        await first.send_json({"event": "stop"})
        await receive_until(first, "stopped")
        # "stopped" comes a little earlier
        while len(door.gateway.admission.callers()) > 2:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        assert (await start(third))["event"] == "started"


async def test_sessions_per_address(serve: Serve) -> None:
    """An address has its sessions and no more."""
    server = await serve(sections={"limits": {"sessions_per_address": 1}})
    async with server.connect("?protocol=2") as first, server.connect("?protocol=2") as second:
        assert (await start(first))["event"] == "started"
        assert (await start(second))["code"] == "capacity"


async def test_connects_per_minute(serve: Serve) -> None:
    """Who connects again and again is told when to come back, before the upgrade."""
    server = await serve(sections={"limits": {"connects_per_minute": 3}})
    for _ in range(3):
        async with server.connect():
            pass
    with pytest.raises(WSServerHandshakeError) as refusal:
        await server.client.ws_connect(PATH)
    assert refusal.value.status == 429
    assert refusal.value.headers is not None
    assert 1 <= int(refusal.value.headers["Retry-After"]) <= 20


@pytest.mark.parametrize("limit", ["connections", "connections_per_address"])
async def test_connections(serve: Serve, limit: str) -> None:
    """One connection too many is told to come back later, before the upgrade, until another ends."""
    server = await serve(sections={"limits": {limit: 2}})
    async with server.connect(), server.connect("?protocol=2"):
        with pytest.raises(WSServerHandshakeError) as refusal:
            await server.client.ws_connect(PATH)
        assert refusal.value.status == 503
        assert refusal.value.headers is not None
        assert refusal.value.headers["Retry-After"] == "5"
        assert server.gateway.tally.rejected["too_many_connections"] == 1
    async with asyncio.timeout(10):
        while True:
            try:
                async with server.connect():
                    return
            except WSServerHandshakeError:
                await asyncio.sleep(0.01)


async def test_connections_of_others(serve: Serve) -> None:
    """What one address has is not counted against another, of IPv6 one /64 network."""
    server = await serve(
        sections={"limits": {"connections_per_address": 1, "trusted_proxies": ["127.0.0.1"]}}
    )

    def from_(address: str) -> Any:
        return server.connect(headers={"X-Forwarded-For": address})

    async with from_("2001:db8:1:2::1"), from_("2001:db8:1:3::1"), from_("192.0.2.1"):
        for address in ("2001:db8:1:2:ffff::9", "192.0.2.1"):
            with pytest.raises(WSServerHandshakeError):
                async with from_(address):
                    pass


async def test_never_started(serve: Serve) -> None:
    """A client of protocol 2 that says nothing is told so and closed; one that pings is not."""
    server = await serve(sections={"limits": {"start_s": 0.4}})
    async with server.connect("?protocol=2") as silent, server.connect("?protocol=2") as lively:
        for _ in range(8):
            await lively.send_json({"event": "keepalive"})
            await asyncio.sleep(0.1)
        error = (await receive_until(silent, "error"))[-1]
        assert (error["code"], error["fatal"]) == ("idle_timeout", True)
        assert (await silent.receive(timeout=10)).type is WSMsgType.CLOSE
        assert silent.close_code == 4408
        assert (await start(lively))["event"] == "started"
        await asyncio.sleep(0.6)
        await lively.send_json({"event": "stop"})
        await receive_until(lively, "stopped")
        await assert_silent(lively, 0.6)


async def test_who_may_be_silent(serve: Serve) -> None:
    """A client of protocol 1 is never closed for its silence, nor one after its first session."""
    server = await serve(sections={"limits": {"start_s": 0.1}})
    async with server.connect() as base, server.connect("?protocol=2") as reused:
        await reused.send_json({"event": "stop"})
        await start(reused)
        await reused.send_json({"event": "stop"})
        await receive_until(reused, "stopped")
        await asyncio.gather(assert_silent(base, 0.5), assert_silent(reused, 0.5))
        await base.send_json({"event": "stop"})
        assert (await base.receive_json(timeout=10))["event"] == "stopped"


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at deadlines more often."""
    monkeypatch.setattr(gateway_module, "DEADLINE_INTERVAL", 0.05)


@pytest.mark.usefixtures("soon")
async def test_idle(serve: Serve) -> None:
    """A session without audio ends with what was said, and says why."""
    server = await serve(sections={"limits": {"idle_s": 0.5}})
    async with server.connect("?protocol=2") as socket:
        await socket.send_json({"event": "start"})
        await socket.send_bytes(tone(0.5))
        messages = await receive_until(socket, "stopped")
    error = next(m for m in messages if m["event"] == "error")
    assert error["code"] == "idle_timeout"
    assert messages[-1]["reason"] == "idle"
    assert messages[-1]["full_transcription"] == "heard 0.5 seconds"
    stored = await server.stored(messages[-1]["session_id"])
    assert stored is not None
    assert (stored["state"], stored["reason"]) == ("completed", "idle")


@pytest.mark.usefixtures("soon")
async def test_who_speaks_is_not_idle(serve: Serve) -> None:
    """Audio keeps a session alive, however long, up to the longest there may be."""
    server = await serve(sections={"limits": {"idle_s": 1, "max_session_s": 3}})
    began = time.monotonic()
    async with server.connect("?protocol=2") as socket:
        await socket.send_json({"event": "start"})
        messages: list[dict[str, Any]] = []
        while not messages or messages[-1]["event"] != "stopped":
            await socket.send_bytes(tone(0.1))
            while not messages or messages[-1]["event"] != "stopped":
                try:
                    messages.append(await socket.receive_json(timeout=0.1))
                except TimeoutError:
                    break
    assert time.monotonic() - began > 2
    assert messages[-1]["reason"] == "max_duration"
    assert next(m for m in messages if m["event"] == "error")["code"] == "max_duration"


def test_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first half minute comes as fast as it may; after it, one waits for the speed to fit."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pace = Pace(2)
    assert pace.wait(30) == 0
    assert pace.wait(50) == pytest.approx(10)
    now += 10
    assert pace.wait(50) == 0


async def test_too_fast(serve: Serve) -> None:
    """Audio faster than it may be waits, loses nothing, and the client is told once."""
    server = await serve(sections={"limits": {"max_speed": 100}})
    async with server.connect("?protocol=2") as socket:
        await socket.send_json({"event": "start"})
        for _ in range(130):
            await socket.send_bytes(tone(1.0))
        await socket.send_json({"event": "stop"})
        messages = await receive_until(socket, "stopped")
    warnings = [m for m in messages if m["event"] == "warning"]
    assert [w["code"] for w in warnings] == ["audio_too_fast"]
    assert messages[-1]["duration_s"] == 130


async def test_usage(serve: Serve) -> None:
    """What a provider was given is stored with the session, and added up by day."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await socket.send_json({"event": "start"})
        await socket.send_bytes(tone(2.0))
        await socket.send_json({"event": "stop"})
        stopped = (await receive_until(socket, "stopped"))[-1]
    stored = await server.gateway.transcripts.get(stopped["session_id"])
    assert stored is not None
    assert stored.session.end is not None
    usage = stored.session.end.usage
    assert (usage["audio_s"], usage["echo.sent_s"]) == (2.0, 2.0)
    assert usage["echo.open_s"] > 0
    assert "echo.replayed_s" not in usage
    (day,) = await server.gateway.transcripts.usage(0, time.time() + 86_400)
    assert (day.sessions, day.usage["echo.sent_s"]) == (1, 2.0)
