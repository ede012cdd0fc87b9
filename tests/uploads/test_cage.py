"""The cage: what a process that has locked itself in cannot do any more."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")

BEFORE = """
import os, socket, sys
from sttgate.uploads.cage import leave_network, lock_in
leave_network()
lock_in(2.0)
try:
    {deed}
    os.write(1, b"done")
except (OSError, MemoryError) as error:
    os.write(1, type(error).__name__.encode())
"""


async def attempt(deed: str, *, caged: bool = True) -> tuple[int | None, bytes]:
    """Return exit code and output of a process that tries something."""
    code = BEFORE.format(deed=deed)
    if not caged:
        code = code.replace("leave_network()", "").replace("lock_in(2.0)", "")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    return process.returncode, output


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ("open('/etc/passwd')", b"OSError"),
        ("os.listdir('/')", b"OSError"),
        ("socket.socket()", b"OSError"),
        ("socket.socketpair()", b"OSError"),
        ("os.pipe()", b"OSError"),
        ("os.dup(0)", b"OSError"),
        ("bytearray(2 * 1024**3)", b"MemoryError"),
    ],
)
async def test_nothing_can_be_opened(deed: str, error: bytes) -> None:
    """No file, no socket, no pipe, and no memory without end; outside of the cage all of it works."""
    assert await attempt(deed) == (0, error)
    assert await attempt(deed, caged=False) == (0, b"done")


async def test_time_is_bounded() -> None:
    """A decoder that turns in circles is ended by the system."""
    code, output = await attempt("exec('while True: pass')")
    assert code is not None
    assert code < 0
    assert output == b""


@pytest.mark.parametrize(("caged", "size"), [(True, 0), (False, 1)])
async def test_no_file_grows(tmp_path: Path, caged: bool, size: int) -> None:
    """What is open already cannot be made larger; outside of the cage it can."""
    code = BEFORE.format(deed="os.write(0, b'x')")
    if not caged:
        code = code.replace("lock_in(2.0)", "")
    path = tmp_path / "file"
    with path.open("wb", buffering=0) as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdin=file, stdout=asyncio.subprocess.DEVNULL
        )
        await process.wait()
    assert path.stat().st_size == size
