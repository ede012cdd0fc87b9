"""Malformed and hostile inputs: each is answered, hurts nobody else, and leaves nothing behind.

Every abuse is followed by a normal session on the same server, and beside all of them one caller
speaks in real time.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sttgate.testing import tone
from tests.abuse.abuse import START, STOP, Abuse, Peer, masked
from tests.abuse.canary import Canary
from tests.abuse.catalogue import (
    api,
    audio,
    frames,
    handshake,
    http,
    lingering,
    messages,
    order,
    volume,
)
from tests.faults.process import Server

GROUPS = {
    "handshake": handshake.ABUSES,
    "frames": frames.ABUSES,
    "messages": messages.ABUSES,
    "order": order.ABUSES,
    "audio": audio.ABUSES,
    "http": http.ABUSES,
    "api": api.ABUSES,
    "volume": volume.ABUSES,
}
CASES = [
    pytest.param(abuse, id=f"{group}: {abuse}")
    for group, abuses in GROUPS.items()
    for abuse in abuses
]

pytestmark = [pytest.mark.xdist_group("abuse"), pytest.mark.timeout(180)]


@dataclass(frozen=True, slots=True)
class Bench:
    """The server that is abused, what it used before, and who speaks all the while."""

    server: Server
    canary: Canary
    descriptors: int
    threads: int
    memory: float

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server.url.rpartition(":")[2])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Return a server for all of these tests; its canary is still alive at the end."""
    server = Server(tmp_path_factory.mktemp("abuse"), providers={"echo": {}}, chain=["echo"])
    asyncio.run(server.start())
    try:
        port = int(server.url.rpartition(":")[2])
        asyncio.run(normal_session(port))  # what is loaded once is there now
        canary = Canary(server.url)
        before = (server.descriptors(), server.threads(), server.memory())
        canary.start()
        yield Bench(server, canary, *before)
        canary._over.set()
        canary._thread.join(60)
    finally:
        server.put_away()


async def normal_session(port: int) -> None:
    """Have a session as anybody has, and get its words."""
    peer = await (await Peer.connect(port)).upgrade()
    try:
        await peer.send(START + masked(2, tone(0.5)) + STOP)
        stopped = json.loads(await peer.answer("stopped"))
        assert stopped["full_transcription"] == "heard 0.5 seconds"
        assert stopped["stored"] == {"transcript": True, "audio": True}
    finally:
        peer.leave()


@pytest.mark.parametrize("abuse", CASES)
async def test_abuse(bench: Bench, abuse: Abuse) -> None:
    """It is answered as it deserves, and the next one who comes is served as ever."""
    await abuse.act(bench.port)
    assert bench.server.running
    await normal_session(bench.port)


async def test_lingering(bench: Bench) -> None:
    """Who holds a connection and does nothing is sent away, all of them at once."""
    async with asyncio.timeout(150):
        results = await asyncio.gather(
            *(abuse.act(bench.port) for abuse in lingering.ABUSES), return_exceptions=True
        )
    failed = {
        abuse.name: repr(result)
        for abuse, result in zip(lingering.ABUSES, results, strict=True)
        if isinstance(result, BaseException)
    }
    assert failed == {}
    await normal_session(bench.port)


async def test_nothing_is_left(bench: Bench) -> None:
    """After all of it the canary has noticed nothing, and nothing was kept or has grown."""
    await asyncio.to_thread(bench.canary.stop)
    stopped = bench.canary.stopped
    assert stopped["duration_s"] == pytest.approx(bench.canary.sent_s, abs=0.001)
    lags = sorted(bench.canary.lags)
    print(
        f"canary: {bench.canary.sent_s:.0f} s, answers after p50 "
        f"{1000 * statistics.median(lags):.1f} ms, p99 {1000 * lags[int(0.99 * len(lags))]:.0f} ms, "
        f"max {1000 * lags[-1]:.0f} ms"
    )
    assert lags[int(0.99 * len(lags))] < 1.0
    assert lags[-1] < 5.0
    await bench.server.idle(60)
    for _ in range(100):
        if bench.server.descriptors() <= bench.descriptors + 2:
            break
        await asyncio.sleep(0.2)
    assert bench.server.descriptors() <= bench.descriptors + 2
    assert bench.server.threads() <= bench.threads + 8  # pools of a few threads each
    print(f"memory: {bench.memory:.0f} MiB before, {bench.server.memory():.0f} MiB after")
    assert bench.server.memory() < bench.memory + 150
    log = bench.server.said()
    assert "Traceback" not in log
    errors = [line for line in log.splitlines() if '"level": "error"' in line]
    assert errors == []


def test_there_is_enough_of_it() -> None:
    """The suite has as many abuses as it says."""
    assert sum(map(len, GROUPS.values())) + len(lingering.ABUSES) >= 150
