"""The one task that writes: whole statements in, groups of them committed together."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiosqlite

from sttgate_sqlite.failure import explain, not_open

MAX_WAITING = 1000
"""How many statements may wait, and so the most that one transaction takes."""


@dataclass(frozen=True, slots=True)
class _Job:
    sql: str
    parameters: Mapping[str, object]
    done: asyncio.Future[list[sqlite3.Row]]


class Writer:
    """Runs statements in the order of the calls; each is atomic, and durable when its call returns.

    Nobody else may use the connection. SQLite undoes a statement that fails and keeps the others of
    its transaction, so one caller's mistake does not touch the rest of a group.
    """

    def __init__(self, path: Path, window: float) -> None:
        self._path = path
        self._window = window  # seconds
        self._open = False
        self._waiting: list[_Job] = []
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(MAX_WAITING)

    def start(self, connection: aiosqlite.Connection) -> None:
        """Begin to write to ``connection``."""
        self._open = True
        self._task = asyncio.create_task(self._run(connection), name="sqlite writer")

    async def stop(self) -> None:
        """Finish what was accepted and take no more."""
        self._open = False
        self._wake.set()
        await self._task

    async def write(
        self, sql: str, parameters: Mapping[str, object] | None = None
    ) -> list[sqlite3.Row]:
        """Run one statement and return its rows once they are committed; raise StoreError.

        Cancelling the caller does not cancel the statement.
        """
        await self._slots.acquire()
        if not self._open:
            self._slots.release()
            raise not_open(self._path)
        done: asyncio.Future[list[sqlite3.Row]] = asyncio.get_running_loop().create_future()
        done.add_done_callback(lambda _: self._slots.release())
        self._waiting.append(_Job(sql, parameters or {}, done))
        self._wake.set()
        return await asyncio.shield(done)

    async def _run(self, connection: aiosqlite.Connection) -> None:
        while self._open or self._waiting:
            await self._wake.wait()
            if self._open:
                await asyncio.sleep(self._window)
            self._wake.clear()
            group, self._waiting = self._waiting, []
            if group:
                await self._write_group(connection, group)

    async def _write_group(self, connection: aiosqlite.Connection, group: list[_Job]) -> None:
        try:
            results = await _transaction(connection, group)
        except Exception as error:  # whatever it is, it is the callers' answer
            for job in group:
                self._fail(job, error)
        else:
            for job, result in zip(group, results, strict=True):
                if isinstance(result, BaseException):
                    self._fail(job, result)
                else:
                    job.done.set_result(result)
        finally:
            for job in group:
                job.done.cancel()  # only if this task is cancelled

    def _fail(self, job: _Job, error: BaseException) -> None:
        failure = explain(error, self._path)
        failure.__cause__ = error
        job.done.set_exception(failure)


async def _transaction(
    connection: aiosqlite.Connection, group: list[_Job]
) -> list[list[sqlite3.Row] | BaseException]:
    """Run a group and commit it; return the rows or the error of each, raise if all is undone."""
    if len(group) == 1:  # which is a transaction by itself, and one way to the thread, not three
        return [list(await connection.execute_fetchall(group[0].sql, group[0].parameters))]
    try:
        await connection.execute_fetchall("BEGIN IMMEDIATE")
        # All go to the connection's thread at once: it does not wait for the loop in between.
        *results, committed = await asyncio.gather(
            *(connection.execute_fetchall(job.sql, job.parameters) for job in group),
            connection.execute_fetchall("COMMIT"),
            return_exceptions=True,
        )
        if isinstance(committed, BaseException):  # an error of the disk undid everything
            raise next((r for r in results if isinstance(r, BaseException)), committed)
        return [r if isinstance(r, BaseException) else list(r) for r in results]
    finally:
        if connection.in_transaction:
            await connection.rollback()
