"""Removes deleted words from the full-text index and the log for good, some time after a deletion."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from sttgate import StoreError
from sttgate_sqlite.writer import Writer

DELAY = 5.0
"""Seconds between a deletion and the purge: many deletions in a row share one."""

_PURGE = "DELETE FROM purge"  # does nothing when none is due, see the schema
_LOG_PATIENCE = 0.5  # seconds to wait for readers of the log, during which nobody can write


class Purge:
    """Purges when asked to, later, and when it stops; what a crash left is due at the start."""

    def __init__(self, writer: Writer, path: Path) -> None:
        self._writer = writer
        self._path = path
        self._due = asyncio.Event()

    def start(self) -> None:
        """Begin to wait for ``request``."""
        self._due.set()
        self._task = asyncio.create_task(self._run(), name="sqlite purge")

    async def stop(self) -> None:
        """Purge now, if it is due. If that fails, the next start does it."""
        self._task.cancel()
        await asyncio.wait([self._task])
        with suppress(StoreError):
            await self._writer.write(_PURGE)

    def request(self) -> None:
        """Say that something was deleted."""
        self._due.set()

    async def _run(self) -> None:
        while True:
            await self._due.wait()
            await asyncio.sleep(DELAY)
            self._due.clear()
            try:
                await self._writer.write(_PURGE)
                if not await asyncio.to_thread(_empty_log, self._path):
                    self._due.set()
            except (StoreError, sqlite3.Error):
                self._due.set()


def _empty_log(path: Path) -> bool:
    """Bring the write-ahead log into the database and cut it to nothing; False while it is read."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_LOG_PATIENCE)
    with closing(connection):
        [(busy, _, _)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return not busy
