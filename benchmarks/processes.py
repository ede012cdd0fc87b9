"""Programs that are measured: started, pinned to a core, and what Linux says they used.

All figures are of a process and its descendants, from ``/proc``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
START_TIMEOUT = 30.0


def free_port() -> int:
    """Return a port that was free just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@cache
def cores() -> tuple[set[int], set[int]]:
    """Return the cores for what is measured and for what measures; the same one if there is one.

    As they were when it was first asked: this process moves to the second ones.
    """
    mine = sorted(os.sched_getaffinity(0))
    return {mine[0]}, set(mine[1:]) or {mine[0]}


@dataclass(frozen=True)
class Program:
    """A running process."""

    pid: int

    def _family(self) -> Iterator[int]:
        todo = [self.pid]
        while todo:
            pid = todo.pop()
            yield pid
            with suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    children = Path(f"/proc/{pid}/task/{thread}/children").read_text()
                    todo += [int(child) for child in children.split()]

    def cpu_ns(self) -> int:
        """Return the time on a core so far, in nanoseconds; threads that ended are not in it."""
        return self._schedstat(0)

    def waited_ns(self) -> int:
        """Return the time it was ready to run and had no core, in nanoseconds."""
        return self._schedstat(1)

    def hurry(self, *, on: bool = True) -> bool:
        """Have it run whenever it has work, whatever else this machine does, if that is allowed."""
        policy = os.SCHED_RR if on else os.SCHED_OTHER
        try:
            for pid in self._family():
                for thread in os.listdir(f"/proc/{pid}/task"):
                    os.sched_setscheduler(int(thread), policy, os.sched_param(int(on)))
        except PermissionError:
            return False
        return True

    def _schedstat(self, field: int) -> int:
        total = 0
        for pid in self._family():
            with suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    times = Path(f"/proc/{pid}/task/{thread}/schedstat").read_text()
                    total += int(times.split()[field])
        return total

    def memory_kib(self) -> int:
        """Return the memory that is resident, shared pages in proportion, in KiB."""
        total = 0
        for pid in self._family():
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    *,
    pinned: set[int],
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
) -> Iterator[Program]:
    """Run a program that listens on ``port``; SIGTERM ends it, SIGKILL if that takes too long."""
    with tempfile.TemporaryFile() as output:
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, pinned)  # inherited, so that all its threads have it from the start
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        finally:
            os.sched_setaffinity(0, mine)
        try:
            _wait_for(port, process, output)
            yield Program(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            output.seek(0)
            said = output.read()[-2000:].decode("utf-8", "replace")
            raise RuntimeError(f"{process.args!r} does not listen on {port}:\n{said}")
        time.sleep(0.02)


def python(module: str, *arguments: object) -> list[str]:
    """Return the command that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *(str(argument) for argument in arguments)]
