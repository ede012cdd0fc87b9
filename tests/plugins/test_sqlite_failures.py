"""What the store ``sqlite`` does when something goes wrong, and what it says then."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sttgate import SessionQuery, StoreError
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.store import SqliteStore

from .test_sqlite import (
    found,
    no_leaked_thread,
    opened,
    path,
    session,
    sqlite_threads,
    store,
    utterance,
)

__all__ = ["no_leaked_thread", "path", "store"]  # fixtures


async def opening_fails(path: Path, **options: object) -> str:
    """Return what opening ``path`` complains about."""
    store = SqliteStore(SqliteOptions(path=path, **options))
    try:
        with pytest.raises(StoreError) as caught:
            await store.open()
    finally:
        await store.close()
    message = str(caught.value)
    assert str(path) in message
    return message


def change(path: Path, *statements: str) -> None:
    """Run SQL on a database as another program would."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep everybody from writing to a database."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.close()


async def test_cancelled_caller_is_stored(store: SqliteStore) -> None:
    """Cancelling a caller at any moment neither loses its write nor blocks the next ones."""
    await store.begin(session(1))
    for steps in range(1, 30):
        write = asyncio.create_task(store.add_utterance("s1", utterance(steps, "word")))
        for _ in range(steps):
            await asyncio.sleep(0)
        write.cancel()
        await asyncio.wait([write])
        await store.check()
    await store.add_utterance("s1", utterance(99, "last"))
    conversation = await store.get("s1")
    assert conversation is not None
    assert [u.number for u in conversation.utterances] == [*range(1, 30), 99]


async def test_cancelled_readers(store: SqliteStore) -> None:
    """Cancelled readers leave their connections in order for others."""
    await store.begin(session(1))
    await store.add_utterance("s1", utterance(1, "word"))
    for steps in range(1, 30):
        reads = [asyncio.create_task(store.get("s1")) for _ in range(5)]
        for _ in range(steps):
            await asyncio.sleep(0)
        for read in reads:
            read.cancel()
        await asyncio.wait(reads)
    async with asyncio.timeout(10):
        results = await asyncio.gather(*(found(store, "word") for _ in range(10)))
    assert results == [["s1"]] * 10


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_cancelled_open_leaves_nothing(path: Path, steps: int) -> None:
    """An open that is cancelled at any moment leaves no thread, and can be repeated."""
    store = SqliteStore(SqliteOptions(path=path))
    opening = asyncio.create_task(store.open())
    for _ in range(steps):
        await asyncio.sleep(0.0003)
    opening.cancel()
    await asyncio.wait([opening])
    await store.close()
    for thread in sqlite_threads():
        thread.join(5)
    assert not sqlite_threads()
    async with opened(path) as store:
        await store.check()


async def test_one_failure_does_not_touch_the_group(store: SqliteStore) -> None:
    """Of many writes that share a commit, only those that fail are refused."""
    await store.begin(session(1))
    results = await asyncio.gather(
        *(store.add_utterance("s1", utterance(number, "good")) for number in range(1, 6)),
        store.add_utterance("nobody", utterance(6, "bad")),
        store.add_utterance("s1", replace(utterance(7, "bad"), channel=2**70)),
        store.add_utterance("s1", replace(utterance(8, "bad"), start=float("nan"))),
        *(store.add_utterance("s1", utterance(number, "good")) for number in range(9, 12)),
        return_exceptions=True,
    )
    assert [i for i, r in enumerate(results, 1) if isinstance(r, StoreError)] == [6, 7, 8]
    conversation = await store.get("s1")
    assert conversation is not None
    assert [u.number for u in conversation.utterances] == [1, 2, 3, 4, 5, 9, 10, 11]
    assert conversation.session.utterances == 8


async def test_two_processes_write(store: SqliteStore, path: Path) -> None:
    """Another writer of the same file only makes this one wait."""
    await store.begin(session(1))
    async with opened(path) as other:
        await asyncio.gather(
            *(
                one.add_utterance("s1", utterance(2 * number + offset, "word"))
                for number in range(1, 51)
                for offset, one in enumerate((store, other))
            )
        )
    page = await store.list(SessionQuery())
    assert page.sessions[0].utterances == 100


async def test_locked_by_another_program(path: Path) -> None:
    """A lock that outlasts the timeout is an error; reading goes on, and later writes work."""
    async with opened(path, busy_timeout_ms=50) as store:
        await store.begin(session(1))
        with locked(path):
            with pytest.raises(StoreError, match=r"sttgate\.db is locked by another program; clo"):
                await store.add_utterance("s1", utterance(1, "word"))
            with pytest.raises(StoreError, match="is locked"):
                await store.check()
            assert await store.get("s1") is not None
        await store.add_utterance("s1", utterance(1, "word"))


async def test_lock_is_waited_for(store: SqliteStore, path: Path) -> None:
    """A short lock delays a write."""
    with locked(path):
        write = asyncio.create_task(store.begin(session(1)))
        await asyncio.sleep(0.2)
        assert not write.done()
    await write


async def test_new_file_is_locked(path: Path) -> None:
    """Opening says so too when the lock keeps it from making its tables."""
    path.parent.mkdir()
    with locked(path):
        assert "is locked by another program" in await opening_fails(path, busy_timeout_ms=50)


async def test_two_open_a_new_database(path: Path) -> None:
    """Of two that open a new database at once, one makes the tables and both can use them."""
    one, two = (SqliteStore(SqliteOptions(path=path)) for _ in range(2))
    try:
        async with asyncio.TaskGroup() as opening:
            opening.create_task(one.open())
            opening.create_task(two.open())
        await asyncio.gather(one.begin(session(1)), two.begin(session(2)))
        assert len((await one.list(SessionQuery())).sessions) == 2
    finally:
        await one.close()
        await two.close()


async def test_empty_file_becomes_a_database(path: Path) -> None:
    """An empty file, such as a crash at the first start may leave, is a database of version 0."""
    path.parent.mkdir()
    path.touch()
    async with opened(path) as store:
        await store.begin(session(1))


async def test_folder_below_a_file(tmp_path: Path) -> None:
    """A folder that cannot be made is named, with what to do."""
    (tmp_path / "file").touch()
    message = await opening_fails(tmp_path / "file" / "data" / "sttgate.db")
    assert "cannot be opened (Not a directory); make its folder writable" in message


async def test_path_is_a_folder(tmp_path: Path) -> None:
    """A folder in the place of the file is named."""
    assert "cannot be opened (Is a directory)" in await opening_fails(tmp_path)


async def test_folder_that_takes_no_files() -> None:
    """A folder that exists but takes no files is an error at opening, for the administrator too."""
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc here")
    assert "cannot be opened" in await opening_fails(Path("/proc/sttgate.db"))


async def test_not_a_database(path: Path) -> None:
    """A file of another kind is left as it is, and the sentence says how to get it out of the way."""
    path.parent.mkdir()
    content = b"These are the notes of somebody else.\n" * 100
    path.write_bytes(content)
    message = await opening_fails(path)
    assert "is not an SQLite database or is damaged; stop the program, move sttgate.db" in message
    assert path.read_bytes() == content


async def test_damaged_index(store: SqliteStore, path: Path) -> None:
    """Damage that a call meets is its error, and says what to move aside; others still work."""
    await store.begin(session(1))
    await store.add_utterance("s1", utterance(1, "word"))
    change(path, "DELETE FROM utterance_index_data")
    with pytest.raises(StoreError, match=r"is damaged; stop the program, move sttgate\.db"):
        await found(store, "word")
    assert await store.get("s1") is not None


async def test_damaged_database(path: Path) -> None:
    """Damage of the whole file is noticed at opening; the file is left for whoever can mend it."""
    async with opened(path) as store:
        await store.begin(session(1))
        for number in range(1, 50):
            await store.add_utterance("s1", utterance(number, f"word{number} " * 100))
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(b ^ 0xA5 for b in content[4096:])
    path.write_bytes(content)
    message = await opening_fails(path)
    assert "is damaged; stop the program, move sttgate.db, sttgate.db-wal" in message
    assert path.read_bytes() == content


async def test_newer_schema(path: Path) -> None:
    """A database of a newer version of the program is not touched."""
    async with opened(path):
        pass
    change(path, "PRAGMA user_version = 999")
    message = await opening_fails(path)
    assert "made by a newer version of the program (its schema is 999" in message


async def test_database_of_another_program(path: Path) -> None:
    """The tables of another program are not mixed with ours."""
    path.parent.mkdir()
    change(path, "CREATE TABLE theirs (x)")
    assert "is another program's; set a different path" in await opening_fails(path)


async def test_removed_while_in_use(store: SqliteStore, path: Path) -> None:
    """The check notices that the file is gone, though writes to it still seem to work."""
    path.unlink()
    with pytest.raises(StoreError, match="was removed while in use"):
        await store.check()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


async def fill(store: SqliteStore) -> tuple[list[int], list[str]]:
    """Add utterances until some fail; return the numbers of the others, and the errors."""
    accepted: list[int] = []
    errors: list[str] = []
    for first in range(1, 1000, 10):
        numbers = range(first, first + 10)
        results = await asyncio.gather(
            *(store.add_utterance("s1", utterance(number, "word " * 200)) for number in numbers),
            return_exceptions=True,
        )
        accepted += [n for n, result in zip(numbers, results, strict=True) if result is None]
        errors += [str(result) for result in results if result is not None]
        if errors:
            break
    assert errors, "the disk never became full"
    return accepted, errors


async def test_full_disk(small_disk: Path) -> None:
    """A full disk refuses writes and loses none that was accepted; with room again they go on."""
    path = small_disk / "sttgate.db"
    ballast = small_disk / "ballast"
    async with opened(path) as store:
        await store.begin(session(1))
        ballast.write_bytes(bytes(300_000))
        accepted, errors = await fill(store)
        assert all("has no room to grow because the disk is full; free some" in e for e in errors)
        with pytest.raises(StoreError, match="disk is full"):
            await store.add_utterance("s1", utterance(9999, "word " * 20_000))
        ballast.unlink()
        await store.add_utterance("s1", utterance(9999, "after"))
        conversation = await store.get("s1")
        assert conversation is not None
        assert {u.number for u in conversation.utterances} >= {*accepted, 9999}
    async with opened(path) as store:
        assert await store.get("s1") == conversation


async def test_read_only_disk(small_disk: Path) -> None:
    """A disk that is mounted read-only is an error at opening."""
    make_read_only(small_disk)
    assert "(Read-only file system); make" in await opening_fails(small_disk / "sttgate.db")


PROGRAM = """
import asyncio, os, sys, time
from pathlib import Path
from sttgate import SessionStart, Utterance
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.store import SqliteStore

async def main():
    store = SqliteStore(SqliteOptions(path=Path(sys.argv[1])))
    await store.open()
    start = SessionStart(id="s", created_at=1.0, protocol="p", sample_rate=1, channels=1)
    await store.begin(start)
    await store.add_utterance("s", Utterance(number=1, start=0, end=1, text="quokka"))
    if sys.argv[2] == "close":
        await store.close()
        return
    if sys.argv[2] == "delete":
        await store.delete("s")
    print("stored", flush=True)
    time.sleep(60)

asyncio.run(main())
"""


def spawn(path: Path, then: str) -> subprocess.Popen[str]:
    """Start another process that stores an utterance in ``path``."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, str(path), then]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def kill_when_stored(path: Path, then: str) -> None:
    with spawn(path, then) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stored\n"
        process.send_signal(signal.SIGKILL)


async def test_kill_keeps_what_was_stored(path: Path) -> None:
    """An utterance is there after ``kill -9`` right behind the call that stored it."""
    kill_when_stored(path, "sleep")
    async with opened(path) as store:
        conversation = await store.get("s")
        assert conversation is not None
        assert conversation.text == "quokka"
        assert await found(store, "quokka") == ["s"]


async def test_kill_after_delete(path: Path) -> None:
    """What a killed process had deleted is gone from the files after the next start and stop."""
    kill_when_stored(path, "delete")
    async with opened(path) as store:
        assert await store.get("s") is None
    assert b"uokka" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_process_ends_after_close(path: Path) -> None:
    """Nothing keeps the interpreter from exiting after close."""
    with spawn(path, "close") as process:
        assert process.wait(30) == 0
