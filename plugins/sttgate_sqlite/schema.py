"""Brings a database to the schema this version of the program knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import aiosqlite

from sttgate import StoreError

APPLICATION_ID = 0x73747467
"""Marks a database as this program's, as set by the first migration ("sttg")."""


async def migrate(connection: aiosqlite.Connection, path: Path) -> None:
    """Apply the migrations that are missing, all or none; raise StoreError or sqlite3.Error."""
    migrations = _migrations()
    latest = migrations[-1][0]
    if await _version(connection, path, latest) == latest:
        return
    await connection.execute_fetchall("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while this one waited for the lock.
        version = await _version(connection, path, latest)
        for number, script in migrations:
            if number > version:
                for statement in _statements(script):
                    await connection.execute_fetchall(statement)
        await connection.execute_fetchall(f"PRAGMA user_version = {latest}")
        await connection.execute_fetchall("COMMIT")
    finally:
        if connection.in_transaction:
            await connection.rollback()


async def _version(connection: aiosqlite.Connection, path: Path, latest: int) -> int:
    [(tables, application, version)] = await connection.execute_fetchall(
        "SELECT (SELECT count(*) FROM sqlite_schema), application_id, user_version"
        " FROM pragma_application_id, pragma_user_version"
    )
    if tables and application != APPLICATION_ID:
        raise StoreError(f"The database {path} is another program's; set a different path.")
    if version > latest:
        raise StoreError(
            f"The database {path} was made by a newer version of the program (its schema is "
            f"{version}, this one knows {latest}); upgrade the program or set a different path."
        )
    return int(version)


def _migrations() -> list[tuple[int, str]]:
    """Return number and script of each migration, in order."""
    folder = resources.files("sttgate_sqlite") / "migrations"
    return sorted(
        (int(file.name.partition("_")[0]), file.read_text("utf-8"))
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    )


def _statements(script: str) -> Iterator[str]:
    """Split a script whose statements end at the end of a line; triggers have more than one ``;``."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
