"""SIGTERM under load: a rolling restart loses nothing, and ends in time."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack

import aiohttp
import pytest

from tests.faults.caller import Caller, call
from tests.faults.patience import until
from tests.faults.process import Server, Servers
from tests.faults.promises import Report
from tests.faults.speech import check, count, pcm_of, speech, spell, text, words_in

CALLERS = 20
SPEECH = speech(count(1500))


async def talk(caller: Caller, *, polite: bool) -> None:
    """Speak until the session ends; who is polite stops soon after ``goaway``."""
    speaking = asyncio.create_task(caller.speak(SPEECH))
    if polite:
        await caller.until("goaway", timeout=40)
        await asyncio.sleep(0.5)
        speaking.cancel()
        await caller.send("stop")
    await caller.until("stopped", timeout=40)
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)


async def refused(server: Server) -> float:
    """Return how long it takes to be told that the server takes nobody any more."""
    begun = time.monotonic()
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(server.url + "/livez")
    return time.monotonic() - begun


async def is_unready(server: Server) -> bool:
    """Whether ``/readyz`` says that no more sessions are welcome."""
    status, _ = await server.get("/readyz")
    return status == 503


@pytest.mark.promise("P17")
@pytest.mark.timeout(120)
async def test_a_rolling_restart_loses_nothing(servers: Servers, measure: Report) -> None:
    """Beside its successor a server drains: who stops may, the others are settled and stored."""
    server = servers(server={"port": 0, "lame_duck_s": 1.0, "drain_timeout_s": 3.0})
    await server.start()
    async with AsyncExitStack() as stack:
        callers = [
            await stack.enter_async_context(call(server.url, acks=0.1)) for _ in range(CALLERS)
        ]
        talking = [
            asyncio.create_task(talk(caller, polite=number % 2 == 0))
            for number, caller in enumerate(callers)
        ]
        for caller in callers:
            await caller.until("started")
        await asyncio.sleep(2.0)
        told = time.monotonic()
        server.signal(signal.SIGTERM)
        unready = await until(lambda: is_unready(server))
        await callers[0].until("goaway")
        old, old_url = server._process, server.url
        assert await refused(server) < 1.0
        await server.start()  # the next version, with the same spool and stores
        await asyncio.gather(*talking)
        assert old is not None
        await until(lambda: old.poll() is not None, 10.0)
        took = time.monotonic() - told
        assert took < 1.0 + 3.0 + 5.0
        assert old.returncode == 0
        assert server.url != old_url
        for caller in callers:
            await caller.until_end()
            assert caller.socket.close_code == 1001
    reasons = []
    for caller in callers:
        check(caller.log)
        stopped = caller.log[-1]
        reasons.append(stopped["reason"])
        recording = pcm_of(await server.recording(caller.session_id))
        assert recording == SPEECH[: len(recording)]
        assert len(recording) >= caller.acknowledged
        stored = await server.stored(caller.session_id)
        assert stored["state"] == "completed"
        assert stored["text"] == text(caller.log) == spell(words_in(recording))
    assert sorted(set(reasons)) == ["client", "shutdown"]
    await server.idle()
    assert unready < 0.5
    measure.say(
        "P17",
        f"{CALLERS} sessions: not ready after {1000 * unready:.0f} ms, out after {took:.1f} s with "
        "1 s of lame duck and 3 s of drain; every word and every acknowledged byte",
    )


@pytest.mark.promise("P17")
@pytest.mark.timeout(60)
async def test_a_second_signal_is_obeyed_at_once(servers: Servers, measure: Report) -> None:
    """Who cannot wait for the drain sends another signal; what was said is stored even so."""
    server = servers(server={"port": 0, "drain_timeout_s": 600.0})
    await server.start()
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(call(server.url)) for _ in range(5)]
        talking = [asyncio.create_task(talk(caller, polite=False)) for caller in callers]
        for caller in callers:
            await caller.until("started")
        await asyncio.sleep(1.5)
        server.signal(signal.SIGTERM)
        await asyncio.sleep(1.0)
        assert server.running
        again = time.monotonic()
        server.signal(signal.SIGTERM)
        await asyncio.gather(*talking)
        assert await server.exited(10) == 0
        took = time.monotonic() - again
    assert took < 5
    await server.start()
    for caller in callers:
        check(caller.log)
        assert (await server.stored(caller.session_id))["text"] == text(caller.log)
    measure.say("P17", f"second signal: out after {took:.1f} s")


@pytest.mark.promise("P17")
@pytest.mark.timeout(90)
async def test_a_provider_that_hangs_does_not_keep_the_process(
    servers: Servers, measure: Report
) -> None:
    """What cannot be settled in time is left to the next start, which settles it."""
    falls = {"point": "middle", "kind": "deaf", "words": 42}
    deaf = {"parrot": {"faults": [falls], "always": {"point": "first", "kind": "deaf"}}}
    server = servers(server={"port": 0, "drain_timeout_s": 1.0}, providers=deaf)
    await server.start()
    numbers = count(57)
    async with call(server.url, acks=0.1) as caller:
        await caller.speak(speech(numbers), speed=10)
        await caller.fall_silent()
        told = time.monotonic()
        server.signal(signal.SIGTERM)
        assert await server.exited(15) == 0
        took = time.monotonic() - told
    assert took < 1 + 5 + 5
    server.configure()
    await server.start()
    stored = await server.stored(caller.session_id)
    assert text(caller.log)
    assert stored["text"] == spell(numbers)
    assert pcm_of(await server.recording(caller.session_id)) == speech(numbers)
    measure.say("P17", f"with a provider that hangs: out after {took:.0f} s with 1 s of drain")
