"""What is old enough goes, all of it; what is not stays."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from sttgate import SessionQuery, StoreError
from sttgate.config.model import RetentionConfig
from sttgate.gateway import Gateway
from sttgate.retention import Retention
from sttgate.session.params import SessionParams
from sttgate.session.session import Session
from sttgate.testing import tone
from tests.conftest import MakeGateway
from tests.gateways import scripted

DAY = 86_400.0
SCRIPT = ("zanzibar is an island",)


async def speak(gateway: Gateway, session_id: str) -> Session:
    """Have a session that hears something, and goes on."""
    session = await gateway.open_session(SessionParams(id=session_id, protocol="native/2"))
    session.append(tone(4.0))
    return session


async def finish(gateway: Gateway, session: Session) -> None:
    """End a session and wait until it is stored."""
    session.stop()
    async with asyncio.timeout(15):
        while gateway.holds(session.id):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)


def policy(gateway: Gateway, **days: float) -> Retention:
    """Return what would sweep ``gateway``."""
    config = RetentionConfig.model_validate(days)
    return Retention(config, gateway.transcripts, gateway.recordings, gateway.holds)


async def listed(gateway: Gateway, text: str | None = None) -> list[str]:
    """Return the ids of the sessions in the list."""
    page = await gateway.transcripts.list(SessionQuery(text=text))
    return [session.start.id for session in page.sessions]


async def test_old_recordings_go(make_gateway: MakeGateway) -> None:
    """The audio of an old session is deleted, what was said stays, and the session says so."""
    gateway = await make_gateway(providers=scripted(SCRIPT))
    await finish(gateway, await speak(gateway, "old"))
    retention = policy(gateway, recordings_days=30)
    await retention.sweep(time.time() + 29 * DAY)
    assert await gateway.recordings.find("old") is not None
    await retention.sweep(time.time() + 31 * DAY)
    assert await gateway.recordings.find("old") is None
    stored = await gateway.transcripts.get("old")
    assert stored is not None
    assert stored.text == SCRIPT[0]
    assert stored.session.end is not None
    assert stored.session.end.recording is False


async def test_old_sessions_go(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """An old session is deleted as a whole: list, index, file; its words are in no file any more."""
    gateway = await make_gateway(providers=scripted(SCRIPT))
    await finish(gateway, await speak(gateway, "old"))
    assert await listed(gateway, "zanzibar") == ["old"]
    retention = policy(gateway, transcripts_days=30)
    await retention.sweep(time.time() + 29 * DAY)
    assert await listed(gateway) == ["old"]
    await retention.sweep(time.time() + 31 * DAY)
    assert await listed(gateway) == []
    assert await listed(gateway, "zanzibar") == []
    assert await gateway.recordings.find("old") is None
    await gateway.close()
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "config.yaml"]
    assert [path.name for path in kept if b"zanzibar" in path.read_bytes()] == []


async def test_a_live_session_stays(make_gateway: MakeGateway) -> None:
    """A session that still runs is not touched, however old."""
    gateway = await make_gateway()
    session = await speak(gateway, "live")
    await policy(gateway, transcripts_days=1, recordings_days=1).sweep(time.time() + 9 * DAY)
    await finish(gateway, session)
    assert await listed(gateway) == ["live"]
    assert await gateway.recordings.find("live") is not None


async def test_many_pages(make_gateway: MakeGateway) -> None:
    """However many there are, all old ones go."""
    gateway = await make_gateway()
    for number in range(230):
        session = await speak(gateway, f"s{number}")
        session.stop()
    async with asyncio.timeout(30):
        while gateway.sessions:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.02)
    await policy(gateway, transcripts_days=1).sweep(time.time() + 2 * DAY)
    assert await listed(gateway) == []


async def test_what_a_crash_left_half_done(make_gateway: MakeGateway) -> None:
    """A sweep that stops half-way, on either side, is finished by the next."""
    gateway = await make_gateway(providers=scripted(SCRIPT))
    for session_id in ("first", "second"):
        await finish(gateway, await speak(gateway, session_id))
    await gateway.recordings.delete("first")  # the row is still there
    await policy(gateway, transcripts_days=1).sweep(time.time() + 2 * DAY)
    assert await listed(gateway) == []
    third = await speak(gateway, "third")
    await finish(gateway, third)
    await gateway.transcripts.delete("third")  # the file is still there
    await policy(gateway, recordings_days=1).sweep(time.time() + 2 * DAY)
    assert await gateway.recordings.find("third") is None


async def test_a_store_that_fails(make_gateway: MakeGateway) -> None:
    """A store that is out is tried again at the next sweep."""
    gateway = await make_gateway()
    await finish(gateway, await speak(gateway, "old"))
    retention = policy(gateway, transcripts_days=0.000_001)
    await gateway.transcripts.close()
    with pytest.raises(StoreError):
        await retention.sweep(time.time() + DAY)
    await gateway.transcripts.open()
    await retention.sweep(time.time() + DAY)
    assert await listed(gateway) == []


async def test_a_gateway_sweeps(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """A gateway sweeps when it starts, by its configuration."""
    first = await make_gateway()
    await finish(first, await speak(first, "old"))
    await first.close()
    await asyncio.sleep(0.05)
    second = await make_gateway(retention={"transcripts_days": 0.000_000_1})
    async with asyncio.timeout(15):
        while await listed(second):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.02)
