"""Sockets that are lost for too long, and connections that come too late; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from sttgate.app import create_app
from sttgate.client import SessionLost, connect
from sttgate.session.session import RESUME_WINDOW
from tests.faults.caller import call
from tests.faults.patience import until
from tests.faults.promises import Report
from tests.faults.proxy import FaultProxy
from tests.faults.sessions import parrot
from tests.faults.speech import check, count, pcm_of, speech, spell
from tests.faults.virtual import run_virtually
from tests.session.engines import House, build_house

NUMBERS = count(43)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[House, FaultProxy]]:
    """Serve a gateway behind a proxy."""
    house = build_house(folder, parrot())
    async with TestServer(create_app(house.gateway)) as server:
        assert server.port is not None
        async with FaultProxy(server.port) as proxy:
            yield house, proxy


@pytest.mark.promise("P11", "P12")
def test_a_session_nobody_resumes_is_settled_and_stored(tmp_path: Path, measure: Report) -> None:
    """After the window a session without a socket ends; who comes later is told so."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with served(tmp_path) as (house, proxy), connect(proxy.url) as client:
            events = client.events()
            await anext(events)
            await client.send(speech(NUMBERS))
            await asyncio.sleep(5.0)
            proxy.set(refuse=True)
            proxy.cut()
            lost = loop.time()
            listening = asyncio.create_task(drain(events))
            await asyncio.sleep(1.0)
            await until(lambda: not house.gateway.sessions, every=0.1)
            assert RESUME_WINDOW - 1 <= loop.time() - lost <= RESUME_WINDOW + 3
            proxy.set()
            with pytest.raises(SessionLost):
                await listening
            [end] = house.transcripts.ends.values()
            assert (end.state, end.duration) == ("incomplete", 4.3)
            [recording] = house.recordings.files.values()
            assert pcm_of(recording) == speech(NUMBERS)
            [stored] = house.transcripts.utterances.values()
            assert " ".join(stored[n].text for n in sorted(stored)) == spell(NUMBERS)

    run_virtually(main())
    measure.say("P11", f"not resumed for {RESUME_WINDOW:.0f} s: settled, stored, marked incomplete")


async def drain(events: AsyncIterator[object]) -> None:
    """Read to the end."""
    async for _ in events:
        pass


@pytest.mark.promise("P11")
def test_the_old_connection_is_shut_out(tmp_path: Path, measure: Report) -> None:
    """Whoever resumes owns the session: what the connection before sends is not heard."""

    async def main() -> None:
        async with served(tmp_path) as (house, proxy):
            async with call(proxy.url, resumable=True) as old:
                started = await old.until("started")
                await old.speak(speech(NUMBERS[:20]))
                resume = {"session_id": started["session_id"], "token": started["resume_token"]}
                async with call(proxy.url, resume=resume) as new:
                    resumed = await new.until("resumed")
                    assert resumed["received_bytes"] == old.sent
                    await old.speak(speech(count(20, start=900)), speed=None)
                    await old.until_end()
                    assert old.socket.close_code == 4409
                    await new.speak(speech(NUMBERS[20:]))
                    await new.send("stop")
                    stopped = await new.until("stopped")
                    assert stopped["full_transcription"] == spell(NUMBERS)
                    check(new.log)
            [recording] = house.recordings.files.values()
            assert pcm_of(recording) == speech(NUMBERS)

    run_virtually(main())
    measure.say("P11", "the connection that was replaced is closed with 4409 and not heard")
