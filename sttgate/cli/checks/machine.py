"""The machine: Python, SQLite, descriptors, clock."""

from __future__ import annotations

import ctypes
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import sttgate
from sttgate.cli.checks.finding import Finding
from sttgate.operations import descriptors

_SKEW = 60.0  # seconds; file systems of other machines have clocks of their own
_TIME_ERROR = 5  # what adjtimex(2) returns while nothing keeps the clock


def look_at_software() -> Iterator[Finding]:
    """Tell versions, and whether SQLite can search."""
    yield Finding("ok", "Python", f"{platform.python_version()} on {sys.platform}")
    with sqlite3.connect(":memory:") as connection:
        options = {row[0] for row in connection.execute("PRAGMA compile_options")}
    connection.close()
    if "ENABLE_FTS5" in options:
        yield Finding("ok", "SQLite", f"{sqlite3.sqlite_version} with full-text search")
    else:
        message = f"{sqlite3.sqlite_version} has no FTS5; use a Python whose SQLite has it"
        yield Finding("error", "SQLite", message)


def look_at_descriptors(sessions: int, connections: int | None) -> Finding:
    """Tell whether there are enough for all the sessions and connections there may be."""
    most, wanted = descriptors.obtainable(), descriptors.needed(sessions, connections)
    if most is None or most >= wanted:
        has = "as many as wanted" if most is None else str(most)
        return Finding("ok", "descriptors", f"{has}; {sessions} sessions need {wanted}")
    message = (
        f"there are {most} and {sessions} sessions may need {wanted}; give it as many "
        f"(LimitNOFILE={wanted} in systemd, --ulimit nofile={wanted} in Docker), or set a smaller "
        "server.max_sessions"
    )
    return Finding("warning", "descriptors", message)


def look_at_clock(files: Iterable[Path]) -> Finding:
    """Tell whether it is earlier than when ``files`` were written, and whether anything keeps it."""
    now = time.time()
    written = {file: _written(file) for file in (Path(sttgate.__file__), *files)}
    latest = max(written, key=lambda file: written[file])
    if written[latest] > now + _SKEW:
        message = (
            f"it is {_instant(now)}, and {latest} was written at {_instant(written[latest])}; set "
            "the clock (timedatectl set-ntp true): tokens, times and retention go by it"
        )
        return Finding("error", "clock", message)
    kept = {True: ", kept in time", False: ", which nothing keeps in time", None: ""}[_is_kept()]
    return Finding("ok", "clock", f"{_instant(now)}{kept}")


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _instant(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _is_kept() -> bool | None:
    """Whether the kernel says that something (NTP) keeps its clock; None if it does not say."""
    if sys.platform != "linux":
        return None
    buffer = ctypes.create_string_buffer(1024)  # a struct timex, zero: to read only
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    return None if state < 0 else state != _TIME_ERROR


def look_at_owner(paths: Iterable[Path]) -> Finding | None:
    """Warn when what is there belongs to somebody else than who asks."""
    if sys.platform == "win32":
        return None
    me = os.geteuid()
    for path in paths:
        try:
            owner = path.stat().st_uid
        except OSError:
            continue
        if owner != me:
            message = (
                f"{path} belongs to {_user(owner)} and this runs as {_user(me)}; run doctor as the "
                f"user that serves (sudo -u {_user(owner)} sttgate doctor), or chown it"
            )
            return Finding("warning", "owner", message)
    return None


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
