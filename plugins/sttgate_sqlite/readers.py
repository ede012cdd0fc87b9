"""The connections that read, next to the one that writes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import aiosqlite

from sttgate_sqlite.failure import explain, not_open

T = TypeVar("T")
Query = tuple[str, Mapping[str, object]]


class Readers:
    """Lends each call a connection of its own, so that its queries see one state of the database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = False

    def start(self, connections: Sequence[aiosqlite.Connection]) -> None:
        """Begin to read from ``connections``."""
        self._idle = list(connections)
        self._count = len(connections)
        self._slots = asyncio.Semaphore(self._count)
        self._open = True

    async def stop(self) -> None:
        """Wait until nobody reads, and let nobody else."""
        self._open = False
        for _ in range(self._count):
            await self._slots.acquire()
        for _ in range(self._count):
            self._slots.release()

    async def fetch(self, *queries: Query) -> list[list[sqlite3.Row]]:
        """Return the rows of each query; raise StoreError."""
        return await self.read(lambda snapshot: snapshot.fetch(*queries))

    async def read(self, work: Callable[[Snapshot], Awaitable[T]]) -> T:
        """Return what ``work`` makes of a snapshot; raise StoreError.

        Work that has begun runs to its end, even when its caller is cancelled.
        """
        if self._open:
            await self._slots.acquire()
            if self._open:
                reading = asyncio.create_task(self._read(self._idle.pop(), work))
                reading.add_done_callback(lambda _: self._slots.release())
                return await asyncio.shield(reading)
            self._slots.release()
        raise not_open(self._path)

    async def _read(
        self, connection: aiosqlite.Connection, work: Callable[[Snapshot], Awaitable[T]]
    ) -> T:
        try:
            await connection.execute_fetchall("BEGIN")
            result = await work(Snapshot(connection))
            await connection.execute_fetchall("COMMIT")
            return result
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
        finally:
            if connection.in_transaction:
                await connection.rollback()
            self._idle.append(connection)


class Snapshot:
    """One state of the database, for as long as a call of ``Readers.read`` takes."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def fetch(self, *queries: Query) -> list[list[sqlite3.Row]]:
        """Return the rows of each query; raise sqlite3.Error."""
        return [list(await self._connection.execute_fetchall(*query)) for query in queries]
