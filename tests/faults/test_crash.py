"""Real servers, killed with -9 and started again."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import threading
import wave
from contextlib import AsyncExitStack, aclosing, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sttgate.config import load_config
from sttgate.gateway import Gateway
from sttgate.session.entries import AnyEntry
from sttgate.session.params import SessionParams
from tests.faults.caller import Caller, call
from tests.faults.patience import until
from tests.faults.process import Server, Servers
from tests.faults.promises import Report
from tests.faults.sessions import parrot
from tests.faults.speech import (
    check,
    count,
    finals,
    pcm_of,
    plain,
    speech,
    spell,
    text,
    words_in,
)
from tests.session.engines import open_house

KILLS = int(os.environ.get("FAULTS_KILLS", "20"))
CALLERS = 3
SPEECH = speech(count(600))
BYTES_PER_MS = 32


@dataclass
class Victim:
    """What one client knew when the server was killed."""

    session_id: str
    sent: int
    acknowledged: int
    text: str


async def talk_until_killed(server: Server, seconds: float) -> list[Victim]:
    """Have clients speak for a while, kill the server, and return what they knew."""
    async with AsyncExitStack() as stack:
        callers = [
            await stack.enter_async_context(call(server.url, acks=0.05, words=True))
            for _ in range(CALLERS)
        ]
        speaking = [asyncio.create_task(caller.speak(SPEECH)) for caller in callers]
        for caller in callers:
            await caller.until("started")
        await asyncio.sleep(seconds)
        await server.kill()
        for task in speaking:
            task.cancel()
        await asyncio.gather(*speaking, return_exceptions=True)
        for caller in callers:
            await caller.until_end()
            check(caller.log)
        return [Victim(c.session_id, c.sent, c.acknowledged, text(c.log)) for c in callers]


def play(path: Path) -> bytes:
    """Return the samples of a recording that nobody has mended; none if it had not begun."""
    if not path.stat().st_size:
        return b""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        samples: bytes = file.readframes(1 << 30)
        return samples


@pytest.mark.promise("P8", "P10")
@pytest.mark.timeout(60 + 8 * KILLS)
async def test_kill_takes_next_to_nothing(servers: Servers, measure: Report) -> None:
    """Killed at a random moment, the audio up to a moment before and every final are kept."""
    server, rng = servers(), random.Random()
    worst_received = worst_sent = 0.0
    await server.start()
    for _ in range(KILLS):
        victims = await talk_until_killed(server, rng.uniform(0.05, 1.5))
        recorded = {v.session_id: play(server.spool / v.session_id / "audio.wav") for v in victims}
        await server.start()
        for victim in victims:
            audio = recorded[victim.session_id]
            assert audio == SPEECH[: len(audio)]
            worst_received = max(worst_received, (victim.acknowledged - len(audio)) / BYTES_PER_MS)
            worst_sent = max(worst_sent, (victim.sent - len(audio)) / BYTES_PER_MS)
            if not audio:
                continue
            stored = await server.stored(victim.session_id)
            assert stored["state"] == "interrupted"
            assert pcm_of(await server.recording(victim.session_id)) == audio
            # No final without its audio, and what was not final yet is heard again.
            assert stored["text"] == spell(words_in(audio))
            assert stored["text"].startswith(victim.text)
        await server.idle()
    assert worst_received <= 250
    measure.say(
        "P8",
        f"{KILLS} kills with {CALLERS} sessions each: {max(0.0, worst_received):.0f} ms of what was "
        f"acknowledged, {worst_sent:.0f} ms of what was sent at most; every file plays; every final "
        "is there",
    )
    measure.say("P10", f"{KILLS} kills while listening: all sessions found")


@pytest.mark.promise("P8", "P9")
@pytest.mark.timeout(120)
async def test_a_final_that_was_seen_is_there(servers: Servers, measure: Report) -> None:
    """Killed the moment a client sees a final, while the store is locked, the final is kept."""
    server, rounds = servers(), 3
    await server.start()
    for _ in range(rounds):
        with closing(sqlite3.connect(server.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with call(server.url) as caller:
                speaking = asyncio.create_task(caller.speak(SPEECH))
                await until(lambda: finals(caller.log), every=0)
                await server.kill()
                speaking.cancel()
                await asyncio.gather(speaking, return_exceptions=True)
                await caller.until_end()
                session_id, seen = caller.session_id, text(caller.log)
            other.execute("ROLLBACK")
        assert seen
        await server.start()
        stored = await server.stored(session_id)
        assert stored["text"].startswith(seen)
    measure.say("P9", f"{rounds} kills at the first final with SQLite locked: {rounds} finals kept")
    measure.say("P9", "a power cut is not simulated")


@pytest.mark.promise("P9")
async def test_a_disk_that_does_not_answer_holds_finals_back(
    tmp_path: Path, measure: Report
) -> None:
    """While the disk keeps what it is given to itself, interims are shown and finals are not."""
    async with open_house(tmp_path, parrot()) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        seen: list[AnyEntry] = []

        async def follow() -> None:
            reader = session.events.reader(0, lambda: None)
            async with aclosing(reader.follow()) as entries:
                async for entry in entries:
                    seen.append(entry)

        following = asyncio.create_task(follow())
        await until(lambda: seen)
        answers = threading.Event()
        writing = asyncio.create_task(house.gateway.spool.run(answers.wait))
        await asyncio.sleep(0.1)
        session.append(speech(count(12)))
        await asyncio.sleep(1.0)
        assert not finals(plain(seen))
        answers.set()
        await writing
        await until(lambda: len(finals(plain(seen))) == 2, timeout=10)
        following.cancel()
        await asyncio.wait({following})
    measure.say("P9", "a disk that does not answer: no final is shown until it does")


PHASES: dict[str, dict[str, object]] = {
    "opening": {"never_opens": True},
    "listening": {},
    "recovering": {
        "faults": [{"point": "middle", "kind": "break", "words": 7}],
        "always": {"point": "connect", "kind": "break"},
    },
    "draining": {"always": {"point": "drain", "kind": "deaf"}},
    "storing": {},
}


@pytest.mark.promise("P10")
@pytest.mark.timeout(120)
async def test_every_phase_is_found_after_a_kill(servers: Servers, measure: Report) -> None:
    """Whatever a session was doing when the process died, it is brought to its end."""
    parrots = {name: {"use": "parrot"} | options for name, options in PHASES.items()}
    server = servers(providers={"parrot": {}} | parrots)
    await server.start()
    numbers = count(23)
    async with AsyncExitStack() as stack:

        async def reach(name: str, *, resumable: bool = False) -> Caller:
            start: dict[str, Any] = {"client_ref": name, "provider": name, "resumable": resumable}
            caller = await stack.enter_async_context(call(server.url, acks=0.1, **start))
            await caller.speak(speech(numbers), speed=10)
            await caller.fall_silent()
            return caller

        lingering = await reach("parrot", resumable=True)
        await lingering.send("stop")
        await lingering.until("stopped")
        for name in ("opening", "listening", "recovering"):
            await reach(name)
        draining = await reach("draining")
        await draining.send("stop")
        with closing(sqlite3.connect(server.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            storing = await reach("storing")
            await storing.send("stop")
            await asyncio.sleep(1.0)
            spooled = sorted(path.name for path in server.spool.iterdir())
            await server.kill()
    server.configure(providers={"parrot": {}} | {name: {"use": "parrot"} for name in PHASES})
    await server.start()
    assert len(spooled) == len(PHASES) + 1
    await server.idle()  # until then rows are written again as they grew
    states = {}
    for session_id in spooled:
        stored = await server.stored(session_id)
        states[stored["client_ref"]] = stored["state"]
        assert stored["text"] == spell(numbers), (stored["client_ref"], stored["gaps"])
        assert pcm_of(await server.recording(session_id)) == speech(numbers)
    ended = states.pop("parrot")
    assert ended in ("completed", "interrupted")
    assert states == dict.fromkeys(PHASES, "interrupted")
    measure.say("P10", f"killed while {', '.join(PHASES)} and after the end: all words, all audio")


@pytest.mark.promise("P10")
async def test_a_process_beside_takes_up_what_another_left(
    servers: Servers, monkeypatch: pytest.MonkeyPatch, measure: Report
) -> None:
    """Nobody need restart for it: who shares the spool finds the sessions of who died."""
    monkeypatch.setattr("sttgate.gateway.RECOVERY_INTERVAL", 0.3)
    server = servers()
    await server.start()
    config = load_config(server.folder / "config.yaml", environ={}, cwd=server.folder)
    beside = Gateway.from_config(config)
    await beside.open()
    try:
        async with call(server.url, acks=0.1) as caller:
            await caller.speak(speech(count(23)), speed=10)
            await caller.fall_silent()
            await asyncio.sleep(1.0)
            assert not beside.sessions
            await server.kill()

        async def is_stored() -> bool:
            stored = await beside.transcripts.get(caller.session_id)
            end = stored.session.end if stored is not None else None
            return end is not None and (end.state, end.recording) == ("interrupted", True)

        await until(is_stored, 20)
        stored = await beside.transcripts.get(caller.session_id)
        assert stored is not None
        assert stored.text == spell(count(23))
    finally:
        await beside.close()
    measure.say("P10", "a process beside it takes up the rest (looks each 60 s, here each 0.3 s)")


@pytest.mark.promise("P10")
async def test_a_damaged_database_is_left_as_it_is(servers: Servers, measure: Report) -> None:
    """The start fails with a sentence that says what to do; done so, the server serves again."""
    server = servers()
    await server.start()
    async with call(server.url) as caller:
        await caller.speak(speech(count(10)), speed=None)
        await caller.send("stop")
        recorded = (await caller.until("stopped"))["session_id"]
    await server.kill()
    damaged = b"\0" * 100 + server.database.read_bytes()[100:]
    for path in server.database.parent.glob("sttgate.db*"):
        path.unlink()
    server.database.write_bytes(damaged)
    server.launch()
    assert await server.exited(20) != 0
    assert "move sttgate.db" in server.said()
    assert server.database.read_bytes() == damaged
    server.database.rename(server.folder / "aside")
    for path in server.database.parent.glob("sttgate.db-*"):
        path.unlink()
    await server.start()
    assert pcm_of(await server.recording(recorded)) == speech(count(10))
    measure.say("P10", "a damaged database: the start names it and what to do, and leaves it alone")
