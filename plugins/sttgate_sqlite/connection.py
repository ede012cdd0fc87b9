"""Connections to the database: one that writes, some that read."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import aiosqlite

from sttgate import StoreError
from sttgate_sqlite.options import SqliteOptions

_OLDEST_SQLITE = (3, 37, 0)  # STRICT tables; RETURNING came with 3.35
_LARGEST_IDLE_LOG = 64 << 20  # bytes
_WRITE_CACHE_KIB = (
    512  # SQLite's own 2 MiB fill up with pages that are read back from the kernel as fast
)


async def connect(
    path: Path, options: SqliteOptions, *, read_only: bool = False
) -> aiosqlite.Connection:
    """Return a connection that starts no transaction by itself; ``path`` exists and is absolute.

    Raises StoreError or sqlite3.Error, and leaves no thread behind then.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old for {path}; "
            "use a Python that comes with SQLite 3.37 or later."
        )
    connection = await aiosqlite.connect(
        f"{path.as_uri()}?mode={'ro' if read_only else 'rw'}",
        uri=True,
        timeout=options.busy_timeout_ms / 1000,
        isolation_level=None,
    )
    try:
        connection.row_factory = sqlite3.Row
        await connection.execute_fetchall("PRAGMA temp_store = memory")
        if not read_only:
            await _prepare_writes(connection, path, options)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _prepare_writes(
    connection: aiosqlite.Connection, path: Path, options: SqliteOptions
) -> None:
    if await _journal_mode(connection, options.busy_timeout_ms / 1000) != "wal":
        raise StoreError(
            f"The database {path} is on a file system without write-ahead logging; "
            "put it on a local disk."
        )
    for pragma in (
        f"synchronous = {options.synchronous}",
        "foreign_keys = on",
        "secure_delete = on",
        "wal_autocheckpoint = 1000",
        f"cache_size = -{_WRITE_CACHE_KIB}",
        f"journal_size_limit = {_LARGEST_IDLE_LOG}",
    ):
        await connection.execute_fetchall(f"PRAGMA {pragma}")


async def _journal_mode(connection: aiosqlite.Connection, timeout: float) -> str:
    """Ask for a write-ahead log and return what there is; wait for another process as it does so.

    SQLite's own timeout does not cover the moment at which both do this to a new database.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            [(mode,)] = await connection.execute_fetchall("PRAGMA journal_mode = wal")
        except sqlite3.OperationalError as error:
            late = asyncio.get_running_loop().time() >= deadline
            if late or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            await asyncio.sleep(0.01)
        else:
            return str(mode)
