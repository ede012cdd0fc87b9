"""Clients that misbehave: they leave, do not read, are half-open, flood; and one that does nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.abusers import CROWD
from tests.faults.caller import Caller, call
from tests.faults.patience import until
from tests.faults.process import Server, Servers
from tests.faults.promises import Report
from tests.faults.proxy import FaultProxy
from tests.faults.speech import check, count, pcm_of, speech, spell, text, words_in

ROOT = Path(__file__).resolve().parents[2]
CALM, EACH = 6.0, 4.0  # seconds
"""How long the canary is watched alone, and beside each kind of abuse."""


@pytest.mark.promise("P12")
@pytest.mark.parametrize("how", ["close", "fin", "reset"])
async def test_who_leaves_without_stop_is_saved(
    servers: Servers, measure: Report, how: str
) -> None:
    """The last words are settled and everything is stored soon after the connection ends."""
    server = servers()
    await server.start()
    numbers = count(23)
    port = int(server.url.rpartition(":")[2])
    async with FaultProxy(port) as proxy, call(proxy.url, acks=0.05) as caller:
        await caller.speak(speech(numbers), speed=5)
        await caller.fall_silent()
        if how == "close":
            await caller.socket.close()
        else:
            proxy.cut(how)  # type: ignore[arg-type]

        async def is_stored() -> bool:
            status, body = await server.get(f"/api/v1/sessions/{caller.session_id}")
            return status == 200 and bool(body["state"] == "completed")

        took = await until(is_stored, 10)
    stored = await server.stored(caller.session_id)
    assert stored["text"] == spell(numbers)
    assert pcm_of(await server.recording(caller.session_id)) == speech(numbers)
    assert took <= 1.0
    measure.most("P12", "WebSocket close, FIN or RST: stored after {:.2f} s at most", took)


@dataclass
class Watched:
    """What happened while clients misbehaved."""

    calm: list[float] = field(default_factory=list)
    abused: list[float] = field(default_factory=list)
    unread_cut_after: float = 0.0
    unread_text: str = ""
    unread_recording: bytes = b""
    half_open_after: float = 0.0
    freed_after: float = 0.0
    growth: float = 0.0
    canary: list[dict[str, Any]] = field(default_factory=list)


def latencies(caller: Caller, since: float, until: float) -> list[float]:
    """Return how long each word took from its last byte to its transcript, within a time."""
    result = []
    for event, at in zip(caller.log, caller.seen_at, strict=True):
        if event["event"] == "transcript" and since <= at < until:
            size = round(event["end"] * 32_000)
            result.append(at - next(sent_at for sent, sent_at in caller.sent_at if sent >= size))
    return result


async def do_not_read(server: Server, watched: Watched) -> None:
    """Speak on and read nothing, until cut off."""
    pcm = speech(count(400))
    async with call(server.url, reading=False, provider="loud", client_ref="unread") as caller:
        begun = time.monotonic()
        with suppress(ConnectionError, aiohttp.ClientError):
            await caller.speak(pcm)
        watched.unread_cut_after = time.monotonic() - begun
    session_id = await find(server, "unread")
    stored = await server.stored(session_id)
    watched.unread_text = stored["text"]
    watched.unread_recording = pcm_of(await server.recording(session_id))


async def be_half_open(server: Server, watched: Watched) -> None:
    """Vanish without a word to the server."""
    async with FaultProxy(int(server.url.rpartition(":")[2])) as proxy:
        async with call(proxy.url) as caller:
            await caller.speak(speech(count(5)))
            session_id = caller.session_id
            proxy.set("half_open")
            begun = time.monotonic()
        await server.stored(session_id, timeout=40)
        watched.half_open_after = time.monotonic() - begun
        proxy.set()


async def find(server: Server, client_ref: str) -> str:
    """Return the session with this reference, from the database."""
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)) as database:
        [(session_id,)] = database.execute(
            "SELECT id FROM sessions WHERE client_ref = ?", (client_ref,)
        ).fetchall()
    return str(session_id)


async def watch(folder: Path) -> Watched:
    """Have a canary speak, first alone, then beside everybody else."""
    watched, servers = Watched(), Servers(folder)
    try:
        loud = {"use": "parrot", "padding": 300_000}
        server = servers(providers={"parrot": {}, "loud": loud})
        await server.start()
        descriptors = server.descriptors()
        async with call(server.url) as canary:
            speaking = asyncio.create_task(canary.speak(speech(count(2000))))
            await asyncio.sleep(CALM)
            memory, begun = server.memory(), time.monotonic()
            abusers = subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, "-m", "tests.faults.abusers", server.url, str(EACH)], cwd=ROOT
            )
            try:
                await asyncio.gather(
                    do_not_read(server, watched),
                    be_half_open(server, watched),
                    asyncio.sleep(EACH * len(CROWD)),
                )
                watched.growth = server.memory() - memory
            finally:
                abusers.kill()
                abusers.wait()
            ended = time.monotonic()
            speaking.cancel()
            await canary.send("stop")
            await canary.until("stopped")
            watched.calm = latencies(canary, begun - CALM + 1.0, begun)
            watched.abused = latencies(canary, begun, ended)
            watched.canary = canary.log
        watched.freed_after = await until(lambda: server.descriptors() <= descriptors + 2)
    finally:
        servers.put_away()
    return watched


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """Return what happened; it is run once for all that look at it."""
    return asyncio.run(watch(tmp_path_factory.mktemp("abuse")))


@pytest.mark.promise("P18")
@pytest.mark.timeout(120)
def test_nobody_waits_for_the_abuse_of_others(watched: Watched, measure: Report) -> None:
    """Beside floods, storms and nonsense a session in real time goes on as before."""
    check(watched.canary)
    words = text(watched.canary).split()
    assert words == spell(count(len(words))).split()
    calm, abused = sorted(watched.calm), sorted(watched.abused)
    p99, p99_alone = abused[int(len(abused) * 0.99)], calm[int(len(calm) * 0.99)]
    measure.say(
        "P18",
        f"p99 of a word {1000 * p99_alone:.0f} ms alone, {1000 * p99:.0f} ms beside them, "
        f"worst {1000 * abused[-1]:.0f} ms; memory +{watched.growth:.0f} MiB",
    )
    assert p99 <= p99_alone + 0.25


@pytest.mark.promise("P13")
def test_who_does_not_read_is_cut_off(watched: Watched, measure: Report) -> None:
    """What it said until then is recorded, recognised and stored."""
    pcm = speech(count(400))
    assert watched.unread_recording == pcm[: len(watched.unread_recording)]
    assert watched.unread_text == spell(words_in(watched.unread_recording))
    measure.say(
        "P13",
        f"cut off {watched.unread_cut_after:.0f} s after its first byte, all words and audio stored",
    )
    assert watched.unread_cut_after < 20


@pytest.mark.promise("P16")
def test_who_is_half_open_is_noticed(watched: Watched, measure: Report) -> None:
    """A client that vanished without a word is given up and its session stored."""
    measure.say(
        "P16",
        f"stored after {watched.half_open_after:.1f} s; all sockets of all abusers free "
        f"{watched.freed_after:.1f} s after they ended",
    )
    assert watched.half_open_after <= 20
    assert watched.half_open_after + watched.freed_after <= 25
