"""A backup of the store ``sqlite`` while it is in use."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sttgate import SessionQuery, SessionStart, StoreError, Utterance
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.store import SqliteStore


def store_at(path: Path) -> SqliteStore:
    return SqliteStore(SqliteOptions(path=path))


async def say(store: SqliteStore, session_id: str, number: int) -> None:
    """Store utterance ``number`` of a session that may be new."""
    start = SessionStart(
        id=session_id, created_at=1.7e9, protocol="native/2", sample_rate=16_000, channels=1
    )
    await store.begin(start)
    text = f"sentence {number} is here"
    await store.add_utterance(
        session_id, Utterance(number=number, start=float(number), end=number + 0.5, text=text)
    )


async def test_backup_while_written(tmp_path: Path) -> None:
    """A copy is whole, with its search index, although somebody writes all the time."""
    store = store_at(tmp_path / "sttgate.db")
    await store.open()

    async def write() -> None:
        for number in range(1, 10_000):
            await say(store, "a", number)

    await say(store, "a", 1)
    writing = asyncio.create_task(write())
    try:
        for name in ("one", "two", "three"):
            before = len((await store.get("a")).utterances)  # type: ignore[union-attr]
            (tmp_path / name).mkdir()
            await store.backup(tmp_path / name)
            after = len((await store.get("a")).utterances)  # type: ignore[union-attr]
            assert not writing.done()
            copy = store_at(tmp_path / name / "sttgate.db")
            await copy.open()
            try:
                conversation = await copy.get("a")
                assert conversation is not None
                assert before <= len(conversation.utterances) <= after
                page = await copy.list(SessionQuery(text=f"sentence {before} is"))
                assert [session.start.id for session in page.sessions] == ["a"]
            finally:
                await copy.close()
            with closing(sqlite3.connect(tmp_path / name / "sttgate.db")) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        writing.cancel()
        await asyncio.wait({writing})
        await store.close()


async def test_is_private(tmp_path: Path) -> None:
    """Only its owner can read a copy, which is one file."""
    store = store_at(tmp_path / "sttgate.db")
    await store.open()
    (tmp_path / "copy").mkdir()
    try:
        await store.backup(tmp_path / "copy")
    finally:
        await store.close()
    [file] = (tmp_path / "copy").iterdir()
    assert file.stat().st_mode & 0o077 == 0


async def test_writes_over_nothing(tmp_path: Path) -> None:
    """A file of that name stays as it is, and so does the store itself."""
    store = store_at(tmp_path / "sttgate.db")
    await store.open()
    try:
        await say(store, "a", 1)
        with pytest.raises(StoreError, match="is there already"):
            await store.backup(tmp_path)
        assert await store.get("a") is not None
        (tmp_path / "file").write_text("mine")
        with pytest.raises(StoreError, match="cannot be opened"):
            await store.backup(tmp_path / "file")
    finally:
        await store.close()
