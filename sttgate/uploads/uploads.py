"""The queue of uploads: takes files in, and gives them to sessions, so many at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec
import structlog

from sttgate.access.principal import Principal
from sttgate.admission import Caller
from sttgate.audio import AudioFormat
from sttgate.config.model import UploadsConfig
from sttgate.errors import ErrorCode, RequestError, StoreError, SttgateError
from sttgate.session import entries
from sttgate.session.params import SessionParams
from sttgate.session.session import CLIENT_MESSAGE, Session
from sttgate.session.spool import Spool
from sttgate.session.states import State
from sttgate.stores import RecordingStore, TranscriptStore
from sttgate.uploads.files import UploadFile, UploadFolder
from sttgate.uploads.job import PROTOCOL, Failure, Job, Order
from sttgate.uploads.sources import Source, open_source

log = structlog.get_logger(__name__)

RETRY_INTERVAL = 1.0  # seconds between two attempts to have a session while there is no room for one
PATIENCE = 600.0  # seconds of such attempts
KEPT_JOBS = 200  # that are over; the sessions themselves are in the store
_STOP_TIMEOUT = 5.0


class QueueFull(SttgateError):
    """As many uploads wait as may wait."""


class TooLarge(SttgateError):
    """A file is larger than one may be."""


class House(Protocol):
    """What uploads use of the gateway."""

    spool: Spool
    transcripts: TranscriptStore
    recordings: RecordingStore
    sessions: dict[str, Session]
    draining: bool

    def check_params(self, params: SessionParams) -> None:
        """Raise RequestError when no session could be had with ``params``."""

    async def has_room_for(self, size: int) -> bool:
        """Whether the disk of the spool has room for ``size`` bytes more than it must have."""

    async def open_session(self, params: SessionParams, caller: Caller) -> Session:
        """Open a session."""


class Uploads:
    """Receives files and transcribes them in the order they came."""

    def __init__(self, config: UploadsConfig, house: House) -> None:
        self.config = config
        self._house = house
        self._folder = UploadFolder(config.path)
        self._slots = asyncio.Semaphore(config.at_once)
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._receiving: set[asyncio.Timeout] = set()
        self._closing = False

    def find(self, upload_id: str) -> Job | None:
        """Return a job that runs, or that was over not long ago."""
        return self._jobs.get(upload_id)

    # --- taking files in ------------------------------------------------------------------------

    @asynccontextmanager
    async def receive(
        self, order: Order, caller: Caller, size: int | None
    ) -> AsyncIterator[Reception]:
        """Give a file a place; it is gone again unless ``Reception.complete`` was called.

        ``size`` is what the client says it has. Raises RequestError, QueueFull or TooLarge.
        """
        self._refuse_while_draining()
        if size is not None and size > self._max_bytes:
            raise self._too_large()
        self._house.check_params(order.session_params(order.raw or AudioFormat()))
        if len(self._receiving) + len(self._tasks) >= self.config.at_once + self.config.waiting:
            raise QueueFull("There are as many files waiting as may wait. Try again later.")
        try:
            async with asyncio.timeout(None) as deadline:
                self._receiving.add(deadline)
                try:
                    file = await self._create(order.id, size)
                    reception = Reception(file, deadline, self._max_bytes, self._too_large)
                    try:
                        yield reception
                        if reception.finished:
                            await asyncio.to_thread(file.keep, msgspec.json.encode(order))
                            self._enqueue(Job(order, caller, file))
                    finally:
                        if order.id not in self._tasks:
                            await asyncio.shield(asyncio.to_thread(file.discard))
                finally:
                    self._receiving.discard(deadline)
        except TimeoutError:
            self._refuse_while_draining()
            raise

    async def _create(self, upload_id: str, size: int | None) -> UploadFile:
        try:
            free = await asyncio.to_thread(self._folder.free_bytes)
            if free < (size or 0) or not await self._house.has_room_for(size or 0):
                log.error("uploads_full", path=str(self._folder.path))
                raise RequestError(ErrorCode.CAPACITY, "The service is full. Try again later.")
            return await asyncio.to_thread(self._folder.create, upload_id)
        except OSError as error:
            log.error("upload_create_failed", error=error.strerror)
            raise RequestError(
                ErrorCode.STORAGE_FAILED, "The service cannot store files at the moment."
            ) from error

    def _refuse_while_draining(self) -> None:
        if self._house.draining or self._closing:
            raise RequestError(ErrorCode.SHUTDOWN, "The service is restarting. Try again.")

    @property
    def _max_bytes(self) -> int:
        return self.config.max_mb * 1024**2

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The file is larger than {self.config.max_mb} MiB.")

    async def take_up(self) -> None:
        """Take up what a process that died had received and not yet given to a session."""
        left = await asyncio.to_thread(lambda: list(self._folder.left_behind()))
        for file, data in left:
            try:
                order = msgspec.json.decode(data, type=Order)
            except msgspec.DecodeError:
                log.error("upload_unreadable", path=str(file.path))
                await asyncio.to_thread(file.discard)
                continue
            try:
                await self._undo(order.id)
            except StoreError as error:
                log.error("upload_not_taken_up", upload=order.id, error=str(error))
                file.close()  # the next look takes it up
                continue
            log.info("upload_taken_up", upload=order.id)
            self._enqueue(Job(order, Caller(principal=Principal(id=order.owner)), file))

    async def _undo(self, upload_id: str) -> None:
        """Remove what a session had of a file that is to be heard from its beginning again."""
        spool = self._house.spool
        if (folder := await spool.claim(upload_id)) is not None:
            await spool.remove(folder)
            await spool.run(folder.close)
        await self._house.transcripts.delete(upload_id)
        await self._house.recordings.delete(upload_id)

    # --- letting go -----------------------------------------------------------------------------

    async def cancel(self, job: Job) -> None:
        """End a job, wherever it stands, and keep nothing of it."""
        self._jobs.pop(job.id, None)
        if (task := self._tasks.get(job.id)) is None:
            return
        if job.session is not None:
            job.session.cancel()
        else:
            task.cancel()
        await asyncio.wait({task}, timeout=_STOP_TIMEOUT)
        await asyncio.to_thread(job.file.discard)
        job.fail(Failure(ErrorCode.SESSION_NOT_FOUND, "It was cancelled."))

    async def cut_off(self, holds: Callable[[Principal], bool]) -> None:
        """End the jobs of principals that no longer hold."""
        for job in list(self._jobs.values()):
            if not job.over and not holds(job.caller.principal):
                await self.cancel(job)

    def stop(self) -> None:
        """Take nothing in any more, and leave what waits to the next start."""
        self._closing = True
        now = asyncio.get_running_loop().time()
        for deadline in self._receiving:
            deadline.reschedule(now)
        for job_id, task in self._tasks.items():
            if self._jobs[job_id].session is None:
                task.cancel()

    async def close(self) -> None:
        """End every job; call it when the sessions have ended."""
        self.stop()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # --- transcribing ---------------------------------------------------------------------------

    def _enqueue(self, job: Job) -> None:
        self._jobs[job.id] = job
        task = asyncio.create_task(self._run(job), name=f"upload {job.id}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._forget(job))

    def _forget(self, job: Job) -> None:
        self._tasks.pop(job.id, None)
        job.file.close()
        over = [job_id for job_id, job in self._jobs.items() if job.over]
        for job_id in over[:-KEPT_JOBS]:
            del self._jobs[job_id]

    async def _run(self, job: Job) -> None:
        try:
            async with self._slots:
                job.decode()
                await self._transcribe(job)
        except RequestError as error:
            if error.code is ErrorCode.SHUTDOWN:
                return  # the next start takes it up
            job.fail(Failure(error.code, str(error)))
        except Exception:
            log.exception("upload_failed", upload=job.id)
            job.fail(Failure(ErrorCode.INTERNAL, "Something went wrong here."))
        if job.over:
            await asyncio.to_thread(job.file.discard)

    async def _transcribe(self, job: Job) -> None:
        """Return when the job is over, or when the gateway goes away."""
        source = await open_source(job.file.path, job.order.raw, 60 * self.config.max_minutes)
        session = await self._open_session(job, source)
        job.transcribe(session, source.seconds)
        reader = session.events.reader(0, lambda: None)
        feeding = asyncio.create_task(self._feed(job, source, session), name=f"feed {job.id}")
        heard = _Heard()
        try:
            async for entry in reader.follow():
                heard.take(entry)
                job.advance(heard.seconds)
                if isinstance(entry, entries.Stopped):
                    break
        finally:
            reader.close()
            session.stop()
            feeding.cancel()
            await asyncio.wait({feeding})
        error = None if feeding.cancelled() else feeding.exception()
        if error is not None and not isinstance(error, RequestError):
            log.error("upload_feed_failed", upload=job.id, exc_info=error)
        if self._house.draining and not (feeding.cancelled() or error) and not feeding.result():
            return  # it got a part of the audio only: the next start begins again
        self._finish(job, session, heard, error)

    def _finish(
        self, job: Job, session: Session, heard: _Heard, error: BaseException | None
    ) -> None:
        failure = heard.failure
        if isinstance(error, RequestError):
            failure = Failure(error.code, str(error))
        elif error is not None:
            failure = Failure(ErrorCode.INTERNAL, "The file could not be read to its end.")
        if heard.stopped is None or session.state in (State.FAILED, State.DISCARDED):
            job.fail(failure or Failure(ErrorCode.INTERNAL, "The session broke off."))
        else:
            job.finish(failure)

    async def _open_session(self, job: Job, source: Source) -> Session:
        """Return a session for the audio, once there is room for it; RequestError if never."""
        params = job.order.session_params(source.format)
        size = source.format.bytes(source.seconds)
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                if not await self._house.has_room_for(size):
                    raise RequestError(ErrorCode.CAPACITY, "There is no room for the audio.")
                return await self._house.open_session(params, job.caller)
            except RequestError as error:
                late = asyncio.get_running_loop().time() > deadline
                if error.code is not ErrorCode.CAPACITY or late:
                    raise
            await asyncio.sleep(RETRY_INTERVAL)

    async def _feed(self, job: Job, source: Source, session: Session) -> bool:
        """Give a session all the audio; return whether it took all, so that the file can go."""
        try:
            async with contextlib.aclosing(source.chunks()) as chunks:
                async for pcm in chunks:
                    if session.ending:
                        return False
                    session.append(pcm)
                    await session.audio.room()
            if session.ending:
                return False
        finally:
            session.stop()
        with contextlib.suppress(OSError):  # a spool that cannot write now has it in memory
            await session.audio.safe()
            await asyncio.to_thread(job.file.discard)
        return True


class Reception:
    """A file that is arriving; ``deadline`` is that of the whole reception."""

    def __init__(
        self,
        file: UploadFile,
        deadline: asyncio.Timeout,
        max_bytes: int,
        too_large: Callable[[], TooLarge],
    ) -> None:
        self.finished = False
        self.deadline = deadline
        self._file = file
        self._max_bytes = max_bytes
        self._too_large = too_large

    @property
    def size(self) -> int:
        """Bytes received so far."""
        return self._file.size

    async def write(self, data: bytes) -> None:
        """Take a piece of the file; raise TooLarge or RequestError."""
        if self.size + len(data) > self._max_bytes:
            raise self._too_large()
        try:
            await asyncio.to_thread(self._file.write, data)
        except OSError as error:
            log.error("upload_write_failed", error=error.strerror)
            raise RequestError(
                ErrorCode.STORAGE_FAILED, "The service cannot store the file at the moment."
            ) from error

    def complete(self) -> None:
        """Say that all of it is here."""
        self.finished = True


class _Heard:
    """What a session said of a file: how far it is, and what went wrong."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.stopped: entries.Stopped | None = None
        self._error: entries.Error | None = None
        self._unheard = 0.0

    def take(self, entry: entries.AnyEntry) -> None:
        """Note an entry."""
        match entry:
            case entries.Transcript():
                self.seconds = max(self.seconds, entry.end)
            case entries.Error():
                self._error = entry
            case entries.Gap():
                self._unheard += entry.end - entry.start
            case entries.Stopped():
                self.stopped = entry

    @property
    def failure(self) -> Failure | None:
        """Why not everything was transcribed, None if it was."""
        if not self._unheard:
            return None
        message = self._error.message if self._error else CLIENT_MESSAGE
        code = self._error.code if self._error else ErrorCode.PROVIDER_TIMEOUT
        detail = f"{message} {self._unheard:.1f} seconds could not be transcribed."
        return Failure(ErrorCode(code), detail)


__all__ = ["PROTOCOL", "House", "QueueFull", "Reception", "TooLarge", "Uploads"]
