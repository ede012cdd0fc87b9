"""A copy of the database while it is in use."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment; whoever writes to it meanwhile is not held up.

    ``target`` is an empty file. Blocks; raises sqlite3.Error. See https://sqlite.org/backup.html.
    """
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)  # in one step, or another process that writes would make it start again
