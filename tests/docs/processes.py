"""Programs of the documentation, run as their readers would: in processes of their own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from tests.docs.pages import ROOT

PATIENCE = 45.0  # seconds; a busy machine takes its time to import things


class Result(NamedTuple):
    """What a program printed, and how it ended."""

    code: int
    out: str
    err: str


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of somebody who has configured nothing."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("STTGATE") and name != "DEEPGRAM_API_KEY"
    }
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    return {**kept, "PYTHONPATH": path.strip(os.pathsep), "NO_COLOR": "1", **variables}


async def run(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: bytes = b""
) -> Result:
    """Run Python with ``arguments`` to its end."""
    process = await _start(arguments, cwd, env)
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(stdin)
    finally:
        await _end(process)
    assert process.returncode is not None
    return Result(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def serving(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[str]:
    """Run ``sttgate serve`` on a free port; yield the address its banner names."""
    process = await _start(("-m", "sttgate", "serve", "--port", "0", *arguments), cwd, env)
    assert process.stderr is not None
    said = ""
    try:
        async with asyncio.timeout(PATIENCE):
            while not (match := re.search(r"ready at (http://\S+)", said)):
                line = await process.stderr.readline()
                assert line, f"serve ended: {said}"
                said += line.decode()
        yield match[1]
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            _, rest = await process.communicate()
        assert process.returncode == 0, rest.decode()
    finally:
        await _end(process)


async def _start(arguments: tuple[str, ...], cwd: Path, env: Mapping[str, str] | None) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=cwd,
        env=env or environment(),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.communicate()
