"""What to tell people when SQLite fails."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sttgate import StoreError

_SENTENCES = {
    sqlite3.SQLITE_BUSY: "is locked by another program; close that program or wait",
    sqlite3.SQLITE_LOCKED: "is locked by another program; close that program or wait",
    sqlite3.SQLITE_READONLY: "is read-only; make the file and its folder writable for this user",
    sqlite3.SQLITE_PERM: "may not be used; make the file and its folder writable for this user",
    sqlite3.SQLITE_AUTH: "may not be used; make the file and its folder writable for this user",
    sqlite3.SQLITE_FULL: "has no room to grow because the disk is full; free some space",
    sqlite3.SQLITE_IOERR: "cannot be read or written because the disk reports an error; check it",
    sqlite3.SQLITE_CORRUPT: "is damaged; stop the program, move {aside} aside and start it again",
    sqlite3.SQLITE_NOTADB: (
        "is not an SQLite database or is damaged; "
        "stop the program, move {aside} aside and start it again"
    ),
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check that its folder exists and is writable",
    sqlite3.SQLITE_TOOBIG: "cannot take a text as long as this one; shorten it",
}


def explain(error: BaseException, path: Path) -> StoreError:
    """Return ``error`` as a sentence that says what is wrong with ``path`` and what to do.

    SQLite's own words are left out, as they may quote what somebody said or searched for; chain
    ``error`` to keep them for a debugger.
    """
    code = getattr(error, "sqlite_errorcode", None)
    sentence = _SENTENCES.get(code & 0xFF) if code is not None else None
    if sentence is None:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        sentence = f"could not do what was asked ({name}); look this up in the SQLite documentation"
    aside = f"{path.name}, {path.name}-wal and {path.name}-shm"
    return StoreError(f"The database {path} {sentence.format(aside=aside)}.")


def not_open(path: Path) -> StoreError:
    """Return the error for a call before ``open`` or after ``close``."""
    return StoreError(f"The database {path} is not open; open the store first.")
