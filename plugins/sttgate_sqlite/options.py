"""What can be set for the store ``sqlite``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from sttgate import Options


class SqliteOptions(Options):
    """Options of the store ``sqlite``; the defaults suit a local disk."""

    path: Path = Path("data/sttgate.db")
    """The database file, on a local disk. It and its folder are made when missing."""

    synchronous: Literal["full", "normal"] = "full"
    """When a write counts as done: ``full`` survives a power cut, ``normal`` only a crash."""

    group_commit_ms: int = Field(0, ge=0, le=1000)
    """How long a write waits for others to share its commit. With 0 it waits only while another
    commit runs, which is best unless the disk is slow to sync."""

    busy_timeout_ms: int = Field(5000, ge=0, le=60_000)
    """How long to wait while another program has the database locked."""
