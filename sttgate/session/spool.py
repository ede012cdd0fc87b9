"""The spool: live sessions' logs on local disk, written by one thread for all of them.

All state lives on the event loop; the thread only runs ``_write``. An append is a list operation,
so a slow disk never holds up a session; what is not yet written is bounded by whoever appends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger(__name__)

FLUSH_INTERVAL = 0.2  # seconds; bounds what kill -9 can take
_RETRY_INTERVAL = 1.0
_MAX_IOVEC = 1024  # IOV_MAX of Linux and macOS


class SpoolFile:
    """An append-only file. ``size`` counts bytes appended, ``written`` bytes the kernel has."""

    def __init__(self, spool: Spool, path: Path) -> None:
        self.path = path
        self.size = 0
        self.written = 0
        self.failing = False
        self._spool = spool
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._pending: deque[bytes] = deque()
        self._writing: list[bytes] = []
        self._on_written: Callable[[], None] = lambda: None
        self._attempts: list[asyncio.Future[None]] = []
        self.closed = False

    def on_written(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the loop after each attempt to write, whether it worked or not."""
        self._on_written = callback

    def append(self, data: bytes, *, now: bool = False) -> None:
        """Append ``data``: to be written within FLUSH_INTERVAL, or as soon as can be with ``now``."""
        self._pending.append(data)
        self.size += len(data)
        self._spool.wants_write(self, now)

    def read(self, start: int, size: int) -> bytes:
        """Return up to ``size`` written bytes from ``start``; blocks, so call it in a thread."""
        return os.pread(self._fd, min(size, self.written - start), start)

    def overwrite(self, start: int, data: bytes) -> None:
        """Replace bytes that are already written; blocks, so call it in a thread."""
        os.pwrite(self._fd, data, start)

    async def flush(self) -> None:
        """Return once all that was appended so far is written; OSError if the disk refuses."""
        goal = self.size
        while self.written < goal:
            attempt = asyncio.get_running_loop().create_future()
            self._attempts.append(attempt)
            self._spool.wants_write(self, now=True)
            await attempt

    def close(self) -> None:
        """Close the file, what is still pending is dropped; call it on the spool's thread."""
        if not self.closed:
            self.closed = True
            os.close(self._fd)

    def write(self, chunks: list[bytes]) -> tuple[int, OSError | None]:
        """Write ``chunks`` after ``written``; called on the spool's thread, never twice at once."""
        return (0, None) if self.closed else _write(self._fd, self.written, chunks)

    def unwritten(self) -> bytes:
        """Return what was appended and is not known to be written."""
        return b"".join((*self._writing, *self._pending))

    def _take(self) -> list[bytes]:
        self._writing = list(self._pending)
        self._pending.clear()
        return self._writing

    def _finished(self, done: int, error: OSError | None) -> None:
        self.written += done
        self.failing = error is not None
        if error is not None:
            self._pending.appendleft(b"".join(self._writing)[done:])
        self._writing = []
        attempts, self._attempts = self._attempts, []
        for attempt in attempts:
            if attempt.done():
                continue
            if error is not None:
                attempt.set_exception(error)
            else:
                attempt.set_result(None)
        self._on_written()


class Spool:
    """The folder of live sessions and the thread that writes their files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: OSError | None = None
        self._urgent: dict[SpoolFile, None] = {}
        self._lazy: dict[SpoolFile, None] = {}
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "sttgate-spool")
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self) -> None:
        """Create the folder and start writing; OSError when that is impossible."""
        await self.run(lambda: self.path.mkdir(parents=True, exist_ok=True))
        self._task = asyncio.create_task(self._write_loop(), name="spool")

    async def close(self) -> None:
        """Write what is left and end the thread."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def run(self, job: Callable[[], T]) -> T:
        """Run a blocking ``job`` on the spool's thread, in line with the writes."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    async def create(self, session_id: str, names: Iterable[str]) -> list[SpoolFile]:
        """Make a session's folder with empty files of these names."""
        folder = self.path / session_id

        def make() -> list[SpoolFile]:
            folder.mkdir(mode=0o700)
            return [SpoolFile(self, folder / name) for name in names]

        return await self.run(make)

    async def remove(self, session_id: str) -> None:
        """Delete a session's folder."""
        await self.run(lambda: shutil.rmtree(self.path / session_id, ignore_errors=True))

    def wants_write(self, file: SpoolFile, now: bool) -> None:
        """Queue ``file`` for the next write."""
        if now:
            self._lazy.pop(file, None)
            self._urgent[file] = None
            self._wake.set()
        elif file not in self._urgent:
            self._lazy[file] = None

    async def _write_loop(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + FLUSH_INTERVAL
        while not self._closing or self._urgent or self._lazy:
            if not self._urgent and not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._wake.wait()
            self._wake.clear()
            if self._urgent:
                files = list(self._urgent)
                self._urgent.clear()
                await self._write(files)
            if loop.time() >= due or self._closing:
                files = list(self._lazy)
                self._lazy.clear()
                await self._write(files)
                failing = self.error is not None
                if failing and self._closing:
                    return
                due = loop.time() + (_RETRY_INTERVAL if failing else FLUSH_INTERVAL)

    async def _write(self, files: list[SpoolFile]) -> None:
        batch = [(file, chunks) for file in files if not file.closed and (chunks := file._take())]
        if not batch:
            return
        results = await self.run(lambda: [file.write(chunks) for file, chunks in batch])
        errors = [error for _, error in results if error is not None]
        if errors and self.error is None:
            log.error("spool_write_failed", path=str(self.path), error=errors[0].strerror)
        elif not errors and self.error is not None:
            log.info("spool_write_recovered", path=str(self.path))
        self.error = errors[0] if errors else None
        for (file, _), (done, error) in zip(batch, results, strict=True):
            file._finished(done, error)
            if error is not None and not file.closed:
                self._lazy[file] = None


def _write(fd: int, offset: int, chunks: list[bytes]) -> tuple[int, OSError | None]:
    """Write ``chunks`` at ``offset``; return how many bytes made it, and what stopped the rest."""
    done = 0
    try:
        for first in range(0, len(chunks), _MAX_IOVEC):
            part = chunks[first : first + _MAX_IOVEC]
            size = sum(map(len, part))
            wrote = os.pwritev(fd, part, offset + done)
            done += wrote
            while wrote < size:
                rest = b"".join(part)[wrote:]
                count = os.pwrite(fd, rest, offset + done)
                wrote += count
                done += count
    except OSError as error:
        return done, error
    return done, None
