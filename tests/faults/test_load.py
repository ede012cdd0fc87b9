"""Floods, many short sessions, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from sttgate.app import create_app
from sttgate.errors import RequestError
from sttgate.gateway import Gateway
from sttgate.session.params import SessionParams
from tests.faults.caller import Caller, call
from tests.faults.patience import until
from tests.faults.process import ENGINES, Server, Servers
from tests.faults.promises import Report
from tests.faults.speech import check, count, pcm_of, speech, spell
from tests.gateways import build_config

WAVES, CROWD = 20, 20
FLOOD = speech(count(9000))  # fifteen minutes, 29 MB


@pytest.mark.promise("P14")
@pytest.mark.timeout(120)
async def test_a_flood_beside_a_deaf_provider_takes_no_memory(
    servers: Servers, measure: Report
) -> None:
    """Audio as fast as it goes, to a provider that does not read: it lies on disk, not in memory."""
    deaf = {"always": {"point": "first", "kind": "deaf"}}
    server = servers(providers={"parrot": deaf})
    await server.start()
    async with call(server.url, acks=0.1) as first:  # what the first session costs is not the point
        await first.speak(FLOOD[:64_000], speed=None)
        memory = server.memory()
        peak = memory
        async with call(server.url, acks=0.1) as caller:
            begun = time.monotonic()
            sending = asyncio.create_task(caller.speak(FLOOD, speed=None, chunk=64_000))
            while caller.acknowledged < len(FLOOD):
                peak = max(peak, server.memory())
                assert time.monotonic() - begun < 60
                await asyncio.sleep(0.01)
            await sending
            took = time.monotonic() - begun
            path = server.spool / caller.session_id / "audio.wav"
            while path.stat().st_size < len(FLOOD):
                assert time.monotonic() - begun < 60
                await asyncio.sleep(0.05)
            await server.kill()  # not to wait for the deaf
    assert peak - memory < 24
    measure.say(
        "P14",
        f"{len(FLOOD) / 1e6:.0f} MB taken in {took:.1f} s beside a provider that does not read: "
        f"memory +{peak - memory:.0f} MiB",
    )


async def short(server: Server, number: int) -> float:
    """Have a short session; return the seconds from ``stop`` to ``stopped``."""
    numbers = count(7 + number % 9)
    async with call(server.url) as caller:
        await caller.speak(speech(numbers), speed=4)
        begun = time.monotonic()
        await caller.send("stop")
        stopped = await caller.until("stopped")
        took = time.monotonic() - begun
    check(caller.log, numbers)
    assert stopped["stored"] == {"transcript": True, "audio": True}
    return took


@pytest.mark.promise("P22", "P23")
@pytest.mark.timeout(150)
async def test_many_short_sessions_leave_nothing_behind(servers: Servers, measure: Report) -> None:
    """Threads, sockets, files and memory of a server stand still, and sessions end at once."""
    server = servers()
    await server.start()
    waits: list[float] = []
    sizes: list[float] = []
    counts: list[tuple[int, int]] = []
    for wave in range(WAVES):
        waits += await asyncio.gather(*(short(server, wave + n) for n in range(CROWD)))
        await server.idle()
        sizes.append(server.memory())
        counts.append((server.descriptors(), server.threads()))
    descriptors, threads = ([c[i] for c in counts] for i in (0, 1))
    growth = sizes[-1] - sizes[WAVES // 2]
    waits.sort()
    p99 = waits[int(len(waits) * 0.99)]
    assert descriptors[-1] <= descriptors[1] + 3
    assert threads[-1] <= threads[1] + 6  # the pools of asyncio fill up
    assert growth < 4
    assert p99 <= 2.0
    measure.say("P22", f"{len(waits)} sessions: stopped after {1000 * p99:.0f} ms (p99)")
    measure.say(
        "P23",
        f"{len(waits)} sessions: {descriptors[1]} descriptors after {CROWD} and {descriptors[-1]} "
        f"after all, {threads[-1]} threads, memory +{growth:.1f} MiB in the second half",
    )


@pytest.mark.promise("P23")
async def test_no_object_outlives_its_session(tmp_path: Path, measure: Report) -> None:
    """In one process, a further hundred sessions leave no task and not one object each."""
    config = build_config(
        tmp_path,
        providers={"parrot": {}},
        chain=["parrot"],
        plugins={"dirs": [str(ENGINES)]},
    )
    gateway = Gateway.from_config(config)
    objects, tasks = [], []
    rounds = 5
    sessions = rounds * CROWD
    async with TestServer(create_app(gateway)) as server:
        for _ in range(3):
            for _ in range(rounds):
                url = f"http://127.0.0.1:{server.port}"
                await asyncio.gather(*(brief(url) for _ in range(CROWD)))
            await until(lambda: not gateway.sessions)
            await asyncio.sleep(1.5)  # until the spool has synced its files
            objects.append(live_objects())
            tasks.append(len(asyncio.all_tasks()))
    assert tasks[2] == tasks[1]
    assert objects[2] - objects[1] < sessions / 2  # one that stays per session would be as many
    measure.say("P23", f"{objects[1]} live objects after 200 sessions, {objects[2]} after 300")


def live_objects() -> int:
    """Return how many objects there are of the gateway's own types, asyncio's and aiohttp's."""
    gc.collect()
    modules = (str(getattr(type(each), "__module__", "")) for each in gc.get_objects())
    return sum(name.startswith(("sttgate", "asyncio", "_asyncio", "aiohttp")) for name in modules)


async def brief(url: str) -> None:
    """Have a session as short as can be."""
    async with call(url) as caller:
        await caller.speak(speech(count(6)), speed=None)
        await caller.send("stop")
        await caller.until("stopped")


@pytest.mark.promise("P19")
@pytest.mark.timeout(90)
async def test_a_server_without_descriptors_recovers(
    servers: Servers, tmp_path: Path, measure: Report
) -> None:
    """When no socket can be opened any more, running sessions go on, and later all is well."""
    server = servers()
    await server.start()
    numbers = count(60)
    async with call(server.url, acks=0.1) as caller:
        await caller.until("started")
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.descriptors() + 6,) * 2)
        caller.begin_to_speak(speech(numbers))
        async with AsyncExitStack() as stack:
            crowd = [asyncio.create_task(knock(stack, server)) for _ in range(40)]
            await asyncio.sleep(3.0)
            let_in = sum(task.done() and task.result() for task in crowd)
            for task in crowd:
                task.cancel()
            await asyncio.wait(crowd)
        await until(lambda: caller.sent == len(speech(numbers)))
        await caller.fall_silent()
        await caller.send("stop")
        await caller.until("stopped")
    check(caller.log, numbers)
    await server.idle()
    assert pcm_of(await server.recording(caller.session_id)) == speech(numbers)
    assert (await server.stored(caller.session_id))["text"] == spell(numbers)
    lines = server.said().count("\n")
    assert lines < 300
    measure.say("P19", f"out of descriptors: {let_in} of 40 let in, the session of before intact")


async def knock(stack: AsyncExitStack, server: Server) -> bool:
    """Try to get in, and stay; return whether it worked."""
    with suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
        caller: Caller = await stack.enter_async_context(call(server.url))
        await caller.until("started")
        return True
    return False


@pytest.mark.promise("P19")
async def test_the_number_of_sessions_is_bounded(tmp_path: Path, measure: Report) -> None:
    """One session more than the limit is refused at once, and gets in when another has ended."""
    gateway = Gateway.from_config(build_config(tmp_path, server={"port": 0, "max_sessions": 2}))
    await gateway.open()
    try:
        first = await gateway.open_session(SessionParams(protocol="test"))
        await gateway.open_session(SessionParams(protocol="test"))
        asked = time.monotonic()
        with pytest.raises(RequestError) as refusal:
            await gateway.open_session(SessionParams(protocol="test"))
        took = time.monotonic() - asked
        assert refusal.value.code == "capacity"
        assert took < 0.05
        first.stop()
        await until(lambda: len(gateway.sessions) < 2)
        await gateway.open_session(SessionParams(protocol="test"))
    finally:
        await gateway.close()
    measure.say("P19", f"beyond max_sessions: refused after {1000 * took:.1f} ms")
