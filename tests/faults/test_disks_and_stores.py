"""Disks that are full or gone and stores that are out, under a real server."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults.caller import Caller, call
from tests.faults.disks import small_disk
from tests.faults.patience import until
from tests.faults.process import Server, Servers
from tests.faults.promises import Report
from tests.faults.speech import check, count, finals, pcm_of, speech, spell, text

SPEECH = speech(count(3000))
SECOND = 32_000


@asynccontextmanager
async def talking(server: Server) -> AsyncIterator[Caller]:
    """Have a client speak on and on."""
    async with call(server.url, acks=0.1, words=True) as caller:
        caller.begin_to_speak(SPEECH)
        await caller.until("started")
        yield caller


async def words_go_on(caller: Caller, seconds: float = 1.5) -> None:
    """Assert that finals come, as they should, twice a second."""
    before = len(finals(caller.log))
    await asyncio.sleep(seconds)
    assert len(finals(caller.log)) >= before + seconds


async def readiness(server: Server, status: int, timeout: float = 15.0) -> dict[str, Any]:
    """Return what ``/readyz`` says once it has this status."""
    body: dict[str, Any] = {}

    async def look() -> bool:
        nonlocal body
        now, body = await server.get("/readyz")
        return now == status

    await until(look, timeout, every=0.1)
    return body


async def stop(caller: Caller) -> dict[str, Any]:
    """End the session."""
    await caller.fall_silent()
    await caller.send("stop")
    return await caller.until("stopped", timeout=30)


async def complete(server: Server, caller: Caller) -> None:
    """Assert that all was said, recorded and stored."""
    check(caller.log)
    await server.idle(30)
    stored = await server.stored(caller.session_id)
    heard = caller.sent // 3200
    assert stored["text"] == text(caller.log) == spell(count(heard))
    assert pcm_of(await server.recording(caller.session_id)) == SPEECH[: caller.sent]


@pytest.mark.promise("P15", "P19")
@pytest.mark.timeout(90)
async def test_a_full_disk_stops_no_words(
    servers: Servers, tmp_path: Path, measure: Report
) -> None:
    """While the spool has no room the words go on, others are refused, and nothing is lost after."""
    with small_disk(tmp_path / "disk", 4) as disk:
        server = servers(spool={"path": str(disk.path / "spool"), "min_free_mb": 1})
        server.spool = disk.path / "spool"
        await server.start()
        try:
            async with talking(server) as caller:
                await words_go_on(caller)
                disk.fill()
                body = await readiness(server, 503)
                assert body["stores"]["spool"] == "failing"
                await words_go_on(caller, 3.0)
                begun = time.monotonic()
                async with call(server.url) as late:
                    error = await late.until("error")
                    refused = time.monotonic() - begun
                assert error["code"] in ("capacity", "storage_failed")
                disk.free()
                await readiness(server, 200)
                await words_go_on(caller)
                stopped = await stop(caller)
                assert stopped["stored"] == {"transcript": True, "audio": True}
                warnings = [m["code"] for m in caller.log if m["event"] == "warning"]
                assert warnings == ["storage_failed"]
            await complete(server, caller)
        finally:
            server.put_away()
    assert refused < 0.5
    measure.say("P15", "disk full for some seconds (tmpfs): no word, no byte lost")
    measure.say("P19", f"disk full: a new session is refused after {1000 * refused:.0f} ms")


@pytest.mark.promise("P15")
@pytest.mark.timeout(90)
async def test_a_disk_that_stays_full_costs_only_sound(
    servers: Servers, tmp_path: Path, measure: Report
) -> None:
    """After minutes of audio that no disk takes, the recording is silent there, and says so."""
    with small_disk(tmp_path / "disk", 12) as disk:
        server = servers(spool={"path": str(disk.path / "spool"), "min_free_mb": 0})
        server.spool = disk.path / "spool"
        await server.start()
        try:
            async with talking(server) as caller:
                await words_go_on(caller)
                await caller.fall_silent()
                await asyncio.sleep(0.6)  # until it is written
                clean = caller.sent
                disk.fill()
                memory = server.memory()
                pcm = SPEECH[clean : clean + 240 * SECOND]
                await caller.speak(pcm, speed=40)
                await readiness(server, 503)
                await caller.fall_silent()
                growth = server.memory() - memory
                disk.free()
                await readiness(server, 200)
                await caller.speak(SPEECH[caller.sent : caller.sent + 2 * SECOND], speed=1)
                await stop(caller)
            check(caller.log, count(caller.sent // 3200))
            stored = await server.stored(caller.session_id)
            assert stored["text"] == text(caller.log)
            recording = pcm_of(await server.recording(caller.session_id))
        finally:
            server.put_away()
    assert len(recording) == caller.sent
    assert recording[:clean] == SPEECH[:clean]
    assert recording[-2 * SECOND :] == SPEECH[caller.sent - 2 * SECOND : caller.sent]
    differs = sum(
        recording[at : at + 3200] != SPEECH[at : at + 3200] for at in range(0, caller.sent, 3200)
    )
    lost = stored["usage"]["unrecorded_s"]
    assert differs / 10 == pytest.approx(lost, abs=1.0)
    assert growth < 40
    measure.say(
        "P15",
        f"full for 240 s of audio: every word, {lost:.0f} s of silence in the recording and told as "
        f"such; memory +{growth:.0f} MiB",
    )


@pytest.mark.promise("P9", "P15")
@pytest.mark.timeout(90)
async def test_a_locked_database_only_delays_storing(servers: Servers, measure: Report) -> None:
    """While another process holds SQLite's lock the words go on; afterwards all is stored."""
    server = servers(transcripts={"use": "sqlite", "busy_timeout_ms": 500})
    await server.start()
    with closing(sqlite3.connect(server.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with talking(server) as caller:
            await words_go_on(caller, 3.0)
            body = await readiness(server, 503)
            assert body["stores"]["transcripts"] == "failing"
            stopped = await stop(caller)
            assert stopped["stored"] == {"transcript": False, "audio": True}
            assert "storage_failed" in [m["code"] for m in caller.log if m["event"] == "warning"]
        other.execute("ROLLBACK")
    freed = time.monotonic()
    await complete(server, caller)
    took = time.monotonic() - freed
    await readiness(server, 200)
    measure.say("P15", f"SQLite locked: words go on, stored {took:.1f} s after the lock was gone")
    measure.say("P9", "SQLite locked all the time: finals shown, and stored once it is free")


@pytest.mark.promise("P15")
@pytest.mark.timeout(90)
@pytest.mark.parametrize("trouble", ["replaced", "read-only"])
async def test_a_recordings_folder_that_refuses_only_delays_storing(
    servers: Servers, tmp_path: Path, measure: Report, trouble: str
) -> None:
    """While recordings cannot be kept the words go on; afterwards all is stored."""
    with small_disk(tmp_path / "disk", 4) as disk:
        folder = disk.path / "recordings"
        server = servers(recordings={"use": "files", "path": str(folder)})
        await server.start()
        try:
            async with talking(server) as caller:
                await words_go_on(caller)
                if trouble == "replaced":
                    folder.rmdir()
                    folder.write_text("not a folder")
                else:
                    remount(disk.path, "ro")
                body = await readiness(server, 503)
                assert body["stores"]["recordings"] == "failing"
                await words_go_on(caller)
                stopped = await stop(caller)
                assert stopped["stored"] == {"transcript": True, "audio": False}
                if trouble == "replaced":
                    folder.unlink()
                    folder.mkdir()
                else:
                    remount(disk.path, "rw")
            await complete(server, caller)
        finally:
            server.put_away()
    measure.total("P15", "recordings folder gone or read-only: {:.0f} of 2 stored afterwards", 1)


def remount(folder: Path, how: str) -> None:
    """Make a mounted file system read-only, or writable again."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)
