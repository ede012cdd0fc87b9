"""A database of the first version of the schema becomes one of today, with everything in it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from sttgate import DayUsage, SessionChange, SessionQuery, StoreError
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.rows import end_parameters, start_parameters, utterance_parameters
from sttgate_sqlite.store import SqliteStore

from .test_sqlite import (
    END,
    START,
    UTTERANCE,
    found,
    no_leaked_thread,
    opened,
    path,
    session,
    utterance,
)

__all__ = ["no_leaked_thread", "path"]  # fixtures

# As the program wrote them when the schema was at version 1.
BEGIN = """
    INSERT INTO sessions (id, created_at, protocol, sample_rate, channels, provider, model,
        language, title, client_ref, metadata)
    VALUES (:id, :created_at, :protocol, :sample_rate, :channels, :provider, :model,
        :language, :title, :client_ref, :metadata)
"""
ADD_UTTERANCE = """
    INSERT INTO utterances (session_id, number, channel, start_s, end_s, text, speaker, language,
        confidence, provider, words, word_count, complete)
    VALUES (:session_id, :number, :channel, :start, :end, :text, :speaker, :language,
        :confidence, :provider, :words, :word_count, :complete)
"""
UPDATE_UTTERANCE = """
    UPDATE utterances SET text = :text, word_count = 2 WHERE session_id = :id AND number = :number
"""
END_SESSION = """
    UPDATE sessions SET state = :state, ended_at = :ended_at, duration = :duration,
        reason = :reason, recording = :recording, marks = :marks, gaps = :gaps, usage = :usage,
        provider = :provider, model = :model, language = :language, metadata = :metadata
    WHERE id = :id
"""


def script(name: str) -> str:
    return (resources.files("sttgate_sqlite") / "migrations" / name).read_text("utf-8")


def make_old(path: Path) -> None:
    """Make a database of version 1, begun in no order, with a deletion that is not purged yet."""
    path.parent.mkdir()
    old = sqlite3.connect(path, isolation_level=None)
    old.execute("PRAGMA journal_mode = wal")
    old.execute("PRAGMA foreign_keys = on")
    old.executescript(script("0001_schema.sql"))
    old.execute("PRAGMA user_version = 1")
    for start in (session(2), START, session(1), session(3)):
        old.execute(BEGIN, start_parameters(start))
    for number in (3, 1, 2):
        for session_id in ("s1", "s2", "s3"):
            said = utterance(number, f"word{number} of {session_id}")
            old.execute(ADD_UTTERANCE, utterance_parameters(session_id, said))
    old.execute(ADD_UTTERANCE, utterance_parameters(START.id, UTTERANCE))
    old.execute(UPDATE_UTTERANCE, {"text": "changed later", "id": "s1", "number": 2})
    old.execute(END_SESSION, end_parameters(START.id, END))
    old.execute("DELETE FROM sessions WHERE id = 's3'")
    old.close()


@pytest.fixture
def old(path: Path) -> Path:
    make_old(path)
    return path


async def test_everything_is_kept(old: Path) -> None:
    """Sessions, utterances, counts and previews are as they were; speakers and owners are empty."""
    async with opened(old) as store:
        conversation = await store.get(START.id)
        assert conversation is not None
        assert conversation.session.start == replace(
            START, provider="echo", model="toy", language="fr", metadata={"desk": "b"}
        )
        assert conversation.session.end == END
        assert conversation.session.speakers == {}
        assert conversation.utterances == (UTTERANCE,)
        page = await store.list(SessionQuery())
        assert [s.start.id for s in page.sessions] == ["s2", "s1", START.id]
        assert [(s.utterances, s.words) for s in page.sessions] == [(3, 9), (3, 8), (1, 2)]
        assert page.sessions[1].preview == "word1 of s1 changed later word3 of s1"
        assert await store.get("s3") is None


async def test_index_is_kept(old: Path) -> None:
    """What was said is found as before, and changes and deletions are followed."""
    async with opened(old) as store:
        assert await found(store, "word") == ["s2", "s1"]
        assert await found(store, "changed") == ["s1"]
        assert await found(store, "word2") == ["s2"]
        assert await found(store, "s3") == []
        await store.add_utterance("s2", utterance(2, "new"))
        await store.begin(session(4))
        await store.add_utterance("s4", utterance(1, "word2"))
        assert await found(store, "word2") == ["s4"]
        await store.delete("s1")
        assert await found(store, "changed") == []
        assert await store.update("s2", SessionChange(title="new", speakers={"0": "Ann"}))
    connection = sqlite3.connect(old)
    check = "INSERT INTO utterance_index (utterance_index, rank) VALUES ('integrity-check', 1)"
    connection.execute(check)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("SELECT count(*) FROM utterances").fetchone() == (5,)
    connection.close()


async def test_usage_of_before(old: Path) -> None:
    """Sessions that ended before count in the usage, without an owner."""
    async with opened(old) as store:
        expected = DayUsage(day="2025-10-09", owner=None, sessions=1, usage=END.usage)
        assert list(await store.usage(0.0, 2e9)) == [expected]
        await store.end(START.id, END)
        assert list(await store.usage(0.0, 2e9)) == [expected]


async def test_deleted_before_is_purged(old: Path) -> None:
    """What was deleted before the migration is not in the files after it."""
    async with opened(old):
        pass
    assert b"of s3" not in b"".join(file.read_bytes() for file in old.parent.iterdir())


def content(path: Path) -> list[str]:
    """Return everything a database says, as SQL."""
    connection = sqlite3.connect(path)
    lines = [*connection.iterdump(), str(connection.execute("PRAGMA user_version").fetchone())]
    connection.close()
    return lines


# Opens a store whose process is killed when a statement of the migration begins.
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from sttgate_sqlite.connection import connect
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.schema import migrate

def traced(statement):
    if statement.lstrip().startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    path = Path(sys.argv[1])
    connection = await connect(path, SqliteOptions(path=path))
    await connection.set_trace_callback(traced)
    await migrate(connection, path)
    os._exit(0)

asyncio.run(main())
"""


def kill_half_way(path: Path, statement: str) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(path), statement]
    with subprocess.Popen(command, env=environment) as process:
        assert process.wait(50) == -signal.SIGKILL


@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX sessions_by_age",
        "INSERT INTO new_utterances",
        "ALTER TABLE new_utterances",
        "CREATE TRIGGER session_ended",
        "PRAGMA user_version = ",
        "COMMIT",
    ],
)
async def test_killed_half_way(old: Path, statement: str) -> None:
    """A process that dies at any point of the migration leaves what was there; the next one does it."""
    before = content(old)
    kill_half_way(old, statement)
    assert content(old) == before
    async with opened(old) as store:
        assert await found(store, "word2") == ["s2"]
        assert (await store.list(SessionQuery())).sessions[0].utterances == 3


async def test_fails_half_way(old: Path) -> None:
    """A row that does not fit, such as nobody writes, is an error that leaves what was there."""
    change = sqlite3.connect(old)
    change.execute("UPDATE utterances SET number = 0 WHERE session_id = 's2' AND number = 1")
    change.commit()
    change.close()
    before = content(old)
    store = SqliteStore(SqliteOptions(path=old))
    with pytest.raises(StoreError, match="SQLITE_CONSTRAINT_CHECK"):
        await store.open()
    await store.close()
    assert content(old) == before
