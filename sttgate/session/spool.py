"""The spool: live sessions' logs on local disk, written by one thread for all of them.

All state lives on the event loop; the thread only runs what ``run`` is given. An append is a list
operation, so a slow disk never holds up a session; what is not yet written is bounded by whoever
appends. A session's folder is locked while its process lives: what is found unlocked at start was
left by a crash.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed or taken over anyway
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")
log = structlog.get_logger(__name__)

FLUSH_INTERVAL = 0.2  # seconds; bounds what kill -9 can take
AUDIO_FILE = "audio.wav"
SECOND_NAME = "finished-audio.wav"
EVENTS_FILE = "events.jsonl"
META_FILE = "session.json"
_RETRY_INTERVAL = 1.0


class SpoolFile:
    """An append-only file. ``size`` counts bytes appended, ``written`` bytes the kernel has."""

    def __init__(self, spool: Spool, path: Path, mode: str) -> None:
        self.path = path
        self.failing = False
        self.closed = False
        self._spool = spool
        # Unbuffered: the kernel has what was written, whatever becomes of this process.
        self._file = open(path, mode, buffering=0, opener=_private)  # noqa: SIM115
        self.size = self.written = self._file.seek(0, os.SEEK_END)
        self._pending: list[bytes] = []
        self._writing: list[bytes] = []
        self._hole = 0  # bytes between what is written and what is pending
        self._on_written: Callable[[], None] = lambda: None
        self._attempts: list[asyncio.Future[None]] = []

    def on_written(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the loop after each attempt to write, whether it worked or not."""
        self._on_written = callback

    def append(self, data: bytes, *, now: bool = False) -> None:
        """Append ``data``: to be written within FLUSH_INTERVAL, or as soon as can be with ``now``."""
        if now or not self._pending:  # what is pending already has been asked for
            self._spool.wants_write(self, now)
        self._pending.append(data)
        self.size += len(data)

    async def flush(self) -> None:
        """Return once all that was appended so far is written; OSError if the disk refuses."""
        goal = self.size
        while self.written < goal:
            attempt = asyncio.get_running_loop().create_future()
            self._attempts.append(attempt)
            self._spool.wants_write(self, now=True)
            await attempt

    def shed(self, limit: int) -> int:
        """Give up the oldest bytes while more than ``limit`` are pending; return how many.

        They become a hole that reads as zeros, so that what follows keeps its place. For audio on a
        disk that has refused for long: the words go on, the recording is silent there. The last
        piece stays, since writing it is what makes the hole.
        """
        if self._writing:
            return 0  # it lies before the hole, so wait for the outcome
        count = shed = 0
        for piece in self._pending[:-1]:
            if self.size - self.keeps_from - shed <= limit:
                break
            count, shed = count + 1, shed + len(piece)
        del self._pending[:count]
        self._hole += shed
        return shed

    @property
    def keeps_from(self) -> int:
        """The offset after which everything is written or pending, so after any hole."""
        return self.written + self._hole

    def unwritten(self) -> bytes:
        """Return what was appended and is not known to be written."""
        return b"".join((*self._writing, *self._pending))

    # The rest blocks: call it on the spool's thread.

    def read(self, start: int, size: int) -> bytes:
        """Return up to ``size`` written bytes from ``start``."""
        self._file.seek(start)
        data: bytes = self._file.read(max(0, min(size, self.written - start)))
        return data

    def overwrite(self, start: int, data: bytes) -> None:
        """Replace bytes that are already written."""
        self._file.seek(start)
        self._file.write(data)

    def write(self, chunks: Sequence[bytes], start: int) -> tuple[int, OSError | None]:
        """Write ``chunks`` from ``start``; return how much made it, and what stopped the rest."""
        if self.closed:
            return 0, None
        rest, done = memoryview(b"".join(chunks)), 0
        try:
            self._file.seek(start)
            while done < len(rest):
                done += self._file.write(rest[done:])
        except OSError as error:
            return done, error.with_traceback(None)  # or it keeps this frame, and so the audio
        return done, None

    def truncate(self, size: int) -> None:
        """Cut off what is after ``size``; only before anything was appended."""
        self._file.truncate(size)
        self.size = self.written = size

    def lock(self) -> bool:
        """Claim the file for this process until it is closed; False if another one has it."""
        if fcntl is None:
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def duplicate(self) -> int:
        """Return a descriptor of its own for the same file."""
        return os.dup(self._file.fileno())

    def link(self) -> Path:
        """Return a second name of the file, or its own where the file system has no such thing."""
        other = self.path.with_name(SECOND_NAME)
        try:
            other.unlink(missing_ok=True)
            os.link(self.path, other)
        except OSError:
            return self.path
        return other

    def close(self) -> None:
        """Close the file; what is still pending is dropped."""
        self.closed = True
        self._file.close()

    # What the spool does with it, on the loop.

    def take(self) -> list[bytes]:
        """Return what is to be written now."""
        self._writing, self._pending = self._pending, []
        return self._writing

    def finished(self, done: int, error: OSError | None) -> None:
        """Note how the attempt to write what ``take`` returned went."""
        if done:
            self.written += self._hole + done
            self._hole = 0
        self.failing = error is not None
        if error is not None:
            self._put_back(done)
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

    def _put_back(self, done: int) -> None:
        """Make pending again what follows ``done`` bytes, in its pieces: the oldest may be shed."""
        count = 0
        while count < len(self._writing) and len(self._writing[count]) <= done:
            done -= len(self._writing[count])
            count += 1
        pieces = self._writing[count:]
        if done:
            pieces[0] = pieces[0][done:]
        self._pending[:0] = pieces


@dataclass(frozen=True, slots=True)
class SpoolFolder:
    """The folder of one session: its audio, its events, and what ``meta`` says of it."""

    path: Path
    audio: SpoolFile
    events: SpoolFile
    meta: bytes

    def close(self) -> None:
        """Close the files and give up the lock; call it on the spool's thread."""
        self.audio.close()
        self.events.close()


class Spool:
    """The folder of live sessions and the thread that writes their files.

    ``sync_interval``: seconds between two fdatasync of what was written, which bounds what a power
    cut can take; 0 leaves that to the kernel (about 30 s).
    """

    def __init__(self, path: Path, sync_interval: float = 1.0) -> None:
        self.path = path
        self.error: OSError | None = None
        self._urgent: dict[SpoolFile, None] = {}
        self._lazy: dict[SpoolFile, None] = {}
        self._unsynced: dict[SpoolFile, None] = {}
        self._sync_interval = sync_interval
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "sttgate-spool")
        self._sync_thread = ThreadPoolExecutor(1, "sttgate-sync")
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    async def open(self) -> None:
        """Create the folder and start writing; OSError when that is impossible."""
        await self.run(self._make_folder)
        self._tasks.append(asyncio.create_task(self._write_loop(), name="spool"))
        if self._sync_interval:
            self._tasks.append(asyncio.create_task(self._sync_loop(), name="spool sync"))

    async def close(self) -> None:
        """Write what is left and end the threads."""
        self._closing = True
        self._wake.set()
        self._closed.set()
        await asyncio.gather(*self._tasks)
        self._thread.shutdown()
        self._sync_thread.shutdown()

    async def run(self, job: Callable[[], T]) -> T:
        """Run a blocking ``job`` on the spool's thread, in line with the writes."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    async def create(self, session_id: str, meta: bytes) -> SpoolFolder:
        """Make the folder of a new session, locked before another process can see it."""
        path, hidden = self.path / session_id, self.path / f".{session_id}"

        def make() -> SpoolFolder:
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            hidden.mkdir(mode=0o700)
            with contextlib.ExitStack() as undo:
                undo.callback(_remove, hidden)
                with open(hidden / META_FILE, "xb", opener=_private) as about:
                    about.write(meta)
                files = []
                for name in (AUDIO_FILE, EVENTS_FILE):
                    file = SpoolFile(self, hidden / name, "xb+")
                    undo.callback(file.close)
                    file.path = path / name
                    files.append(file)
                audio, events = files
                events.lock()
                hidden.rename(path)
                undo.pop_all()
            return SpoolFolder(path, audio, events, meta)

        return await self.run(make)

    async def left_behind(self) -> list[str]:
        """Return the ids of sessions with a folder here, whoever they belong to."""

        def find() -> list[str]:
            folders = (path for path in self.path.iterdir() if path.is_dir())
            return sorted(path.name for path in folders if not path.name.startswith("."))

        return await self.run(find)

    async def claim(self, session_id: str) -> SpoolFolder | None:
        """Take over a folder a dead process left; None if its process lives or there is nothing."""
        path = self.path / session_id

        def take_over() -> SpoolFolder | None:
            try:
                events = SpoolFile(self, path / EVENTS_FILE, "rb+")
            except FileNotFoundError:
                return None
            if not events.lock():
                events.close()
                return None
            try:
                meta = (path / META_FILE).read_bytes()
                return SpoolFolder(path, SpoolFile(self, path / AUDIO_FILE, "rb+"), events, meta)
            except OSError:
                events.close()
                return None

        return await self.run(take_over)

    async def remove(self, folder: SpoolFolder) -> None:
        """Delete a session's folder."""
        await self.run(lambda: _remove(folder.path))

    async def free_bytes(self) -> int:
        """Return how much room the disk has; OSError when the folder is gone."""
        return await self.run(lambda: shutil.disk_usage(self.path).free)

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
            await self._write(self._urgent)
            if loop.time() >= due or self._closing:
                await self._write(self._lazy)
                failing = self.error is not None
                if failing and self._closing:
                    return
                due = loop.time() + (_RETRY_INTERVAL if failing else FLUSH_INTERVAL)

    async def _write(self, queue: dict[SpoolFile, None]) -> None:
        files = list(queue)
        queue.clear()
        batch = [(file, chunks) for file in files if not file.closed and (chunks := file.take())]
        if not batch:
            return
        starts = [file.keeps_from for file, _ in batch]
        results = await self.run(
            lambda: [
                file.write(chunks, start)
                for (file, chunks), start in zip(batch, starts, strict=True)
            ]
        )
        errors = [error for _, error in results if error is not None]
        if errors and self.error is None:
            log.error("spool_write_failed", path=str(self.path), error=errors[0].strerror)
        elif not errors and self.error is not None:
            log.info("spool_write_recovered", path=str(self.path))
        self.error = errors[0] if errors else None
        for (file, _), (done, error) in zip(batch, results, strict=True):
            file.finished(done, error)
            if error is not None and not file.closed:
                self._lazy[file] = None
            else:
                self._unsynced[file] = None

    async def _sync_loop(self) -> None:
        """Sync in a thread of its own, since a disk that takes its time must not delay finals."""
        loop = asyncio.get_running_loop()
        while not self._closed.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._sync_interval):
                    await self._closed.wait()
            files = [file for file in self._unsynced if not file.closed]
            self._unsynced.clear()
            if files:
                descriptors = await self.run(
                    lambda files=files: [f.duplicate() for f in files if not f.closed]  # type: ignore[misc]
                )
                await loop.run_in_executor(self._sync_thread, _sync, descriptors)

    def _make_folder(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self.path, os.W_OK):
            raise PermissionError(13, "Permission denied", str(self.path))


def _remove(path: Path) -> None:
    """Delete a session's folder without opening anything: descriptors may be what is missing."""
    with contextlib.suppress(OSError):
        for name in (META_FILE, AUDIO_FILE, SECOND_NAME, EVENTS_FILE):
            (path / name).unlink(missing_ok=True)
        path.rmdir()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        try:
            getattr(os, "fdatasync", os.fsync)(descriptor)
        except OSError as error:
            log.error("spool_sync_failed", error=error.strerror)
        finally:
            os.close(descriptor)
