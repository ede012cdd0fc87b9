"""The queue of uploads: takes files in, and gives them to sessions, so many at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import msgspec
import structlog
from msgspec.structs import replace
from structlog.contextvars import bind_contextvars

from sttgate.access.principal import Principal
from sttgate.admission import Caller
from sttgate.audio import AudioFormat
from sttgate.config.model import UploadsConfig
from sttgate.errors import ErrorCode, RequestError, StoreError, SttgateError
from sttgate.uploads.files import UploadFile, UploadFolder
from sttgate.uploads.house import House
from sttgate.uploads.job import CANCELLED, Failure, Job, JobState, Order
from sttgate.uploads.reception import Reception, TooLarge
from sttgate.uploads.transcribing import Transcribing
from sttgate.uploads.whole import in_thread, whole

log = structlog.get_logger(__name__)

KEPT_JOBS = 200  # that are over; the sessions themselves are in the store
_STOP_TIMEOUT = 10.0  # seconds a cancelled job may take to remove what was stored of it


class QueueFull(SttgateError):
    """As many uploads wait as may wait."""


class Uploads:
    """Receives files and transcribes them in the order they came."""

    def __init__(self, config: UploadsConfig, house: House) -> None:
        self.config = config
        self._house = house
        self._folder = UploadFolder(config.path)
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._receiving: set[asyncio.Timeout] = set()
        self._closing = False

    def find(self, upload_id: str) -> Job | None:
        """Return a job that runs, or that was over not long ago."""
        return self._jobs.get(upload_id)

    @property
    def running(self) -> int:
        """How many are being transcribed."""
        return sum(job.state in (JobState.DECODING, JobState.TRANSCRIBING) for job in self._live())

    @property
    def waiting(self) -> int:
        """How many arrive, or wait for their turn."""
        return len(self._receiving) + sum(job.state is JobState.QUEUED for job in self._live())

    @property
    def full(self) -> bool:
        """Whether one more would be refused."""
        return len(self._receiving) + len(self._tasks) >= self.config.at_once + self.config.waiting

    def _live(self) -> Iterator[Job]:
        return (self._jobs[job_id] for job_id in self._tasks)

    # --- taking files in ------------------------------------------------------------------------

    @asynccontextmanager
    async def receive(
        self, order: Order, caller: Caller, size: int | None
    ) -> AsyncIterator[Reception]:
        """Give a file a place; it is gone again unless ``Reception.complete`` was called.

        ``size`` is what the client says it has. Raises RequestError, QueueFull or TooLarge.
        """
        self._refuse_while_draining()
        if size is not None and size > self.max_bytes:
            raise self._too_large()
        self._house.check_params(order.session_params(order.raw or AudioFormat()))
        if self.full:
            raise QueueFull("There are as many files waiting as may wait. Try again later.")
        try:
            async with asyncio.timeout(None) as deadline:
                self._receiving.add(deadline)
                try:
                    file = await self._create(order.id, size)
                    reception = Reception(file, deadline, self.max_bytes, self._too_large)
                    try:
                        yield reception
                        if reception.finished:
                            deadline.reschedule(None)
                            order = replace(order, title=order.title or reception.title)
                            await self._keep(order, file)
                            self._enqueue(Job(order, caller, file))
                    finally:
                        if order.id not in self._tasks:
                            await in_thread(file.discard)
                finally:
                    self._receiving.discard(deadline)
        except TimeoutError:
            self._refuse_while_draining()
            raise

    async def _create(self, upload_id: str, size: int | None) -> UploadFile:
        try:
            free = await in_thread(self._folder.free_bytes)
            if free < (size or 0) or not await self._house.has_room_for(size or 0):
                log.error("uploads_full", path=str(self._folder.path))
                raise RequestError(ErrorCode.CAPACITY, "The service is full. Try again later.")
            creating = asyncio.to_thread(self._folder.create, upload_id)
            return await whole(creating, UploadFile.discard)
        except OSError as error:
            raise _storage_failed(error) from error

    async def _keep(self, order: Order, file: UploadFile) -> None:
        try:
            await in_thread(file.keep, msgspec.json.encode(order))
        except OSError as error:
            raise _storage_failed(error) from error

    def _refuse_while_draining(self) -> None:
        if self._house.draining or self._closing:
            raise RequestError(ErrorCode.SHUTDOWN, "The service is restarting. Try again.")

    @property
    def max_bytes(self) -> int:
        """How large a file may be."""
        return self.config.max_mb * 1024**2

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The file is larger than {self.config.max_mb} MiB.")

    async def take_up(self) -> None:
        """Take up what a process that died had received and not yet given to a session."""
        if self._closing or self._house.draining:
            return
        try:
            left = await in_thread(lambda: list(self._folder.left_behind()))
        except OSError as error:
            log.error("uploads_unreadable", path=str(self._folder.path), error=error.strerror)
            return
        for file, data in left:
            try:
                order = msgspec.json.decode(data, type=Order)
            except msgspec.DecodeError:
                log.error("upload_unreadable", path=str(file.path))
                await in_thread(file.discard)
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
        task = self._tasks.get(job.id)
        self._break_off(job)
        self._jobs.pop(job.id, None)
        self._house.peers.release("upload", job.id)
        if task is not None:
            await asyncio.wait({task}, timeout=_STOP_TIMEOUT)

    def cut_off(self, holds: Callable[[Principal], bool]) -> None:
        """End the jobs of principals that no longer hold, but for those that have a session."""
        for job in self._jobs.values():
            if job.session is None and not holds(job.caller.principal):
                self._break_off(job)

    def _break_off(self, job: Job) -> None:
        job.cancelled = True
        if job.session is not None:
            job.session.cancel()
        elif (task := self._tasks.get(job.id)) is not None:
            task.cancel()

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
        self._house.peers.hold("upload", job.id)
        task = asyncio.create_task(self._run(job), name=f"upload {job.id}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._forget(job))

    def _forget(self, job: Job) -> None:
        self._tasks.pop(job.id, None)
        job.file.close()
        job.leave()
        over = [job_id for job_id, job in self._jobs.items() if job.over]
        for job_id in over[:-KEPT_JOBS]:
            del self._jobs[job_id]
            self._house.peers.release("upload", job_id)

    async def _run(self, job: Job) -> None:
        bind_contextvars(session=job.id)  # in every line about it, plugins' lines too
        try:
            async with self._house.peers.turn(self.config.at_once):
                job.decode()
                await Transcribing(job, self._house, 60 * self.config.max_minutes).run()
        except asyncio.CancelledError:
            if not job.cancelled:
                raise  # the next start takes it up
            job.fail(CANCELLED)
        except RequestError as error:
            if error.code is ErrorCode.SHUTDOWN:
                return  # the next start takes it up
            job.fail(Failure(error.code, str(error)))
        except Exception:
            log.exception("upload_failed", upload=job.id)
            job.fail(Failure(ErrorCode.INTERNAL, "Something went wrong here."))
        if job.over:
            await in_thread(job.file.discard)


def _storage_failed(error: OSError) -> RequestError:
    log.error("upload_not_stored", error=error.strerror)
    return RequestError(ErrorCode.STORAGE_FAILED, "The service cannot store files at the moment.")
