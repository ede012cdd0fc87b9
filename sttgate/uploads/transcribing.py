"""From a file through a session to a conversation."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from sttgate.errors import ErrorCode, RequestError
from sttgate.session import entries
from sttgate.session.session import CLIENT_MESSAGE, Session
from sttgate.session.states import State
from sttgate.uploads.house import House
from sttgate.uploads.job import CANCELLED, Failure, Job
from sttgate.uploads.sources import Source, open_source
from sttgate.uploads.whole import in_thread, whole

log = structlog.get_logger(__name__)

RETRY_INTERVAL = (
    1.0  # seconds between two attempts to have a session while there is no room for one
)
PATIENCE = 600.0  # seconds of such attempts
_BROKEN = Failure(ErrorCode.INTERNAL, "The session ended before it had all of the audio.")


class Transcribing:
    """Has the audio of one job heard; ``max_seconds`` is how long it may be."""

    def __init__(self, job: Job, house: House, max_seconds: float) -> None:
        self._job = job
        self._house = house
        self._max_seconds = max_seconds

    async def run(self) -> None:
        """Return when the job is over, or when the gateway goes away; RequestError if it cannot be."""
        job = self._job
        source = await open_source(job.file.path, job.order.raw, self._max_seconds)
        session = await self._open_session(source)
        job.transcribe(session, source.seconds)
        reader = session.events.reader(0, lambda: None)
        feeding = asyncio.create_task(self._feed(source, session), name=f"feed {job.id}")
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
        if self._house.draining and (heard.stopped is None or not job.handed_over):
            return  # the next start settles the session, or begins again
        failure = self._failure(session, heard, error)
        if heard.stopped is None or session.state in (State.FAILED, State.DISCARDED):
            job.fail(failure or _BROKEN)
        else:
            job.finish(failure)

    def _failure(
        self, session: Session, heard: _Heard, error: BaseException | None
    ) -> Failure | None:
        """Return why not all of the audio was transcribed, None if it was."""
        if session.state is State.DISCARDED:
            return CANCELLED
        if isinstance(error, RequestError):
            return Failure(error.code, str(error))
        if error is not None:
            return Failure(ErrorCode.INTERNAL, "The file could not be read to its end.")
        return heard.failure or (None if self._job.handed_over else _BROKEN)

    async def _open_session(self, source: Source) -> Session:
        """Return a session for the audio, once there is room for it; RequestError if never."""
        job = self._job
        params = job.order.session_params(source.format)
        size = source.format.bytes(source.seconds)
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                if not await self._house.has_room_for(size):
                    raise RequestError(ErrorCode.CAPACITY, "There is no room for the audio.")
                return await whole(self._house.open_session(params, job.caller), Session.cancel)
            except RequestError as error:
                late = asyncio.get_running_loop().time() > deadline
                if error.code is not ErrorCode.CAPACITY or late:
                    raise
            await asyncio.sleep(RETRY_INTERVAL)

    async def _feed(self, source: Source, session: Session) -> None:
        """Give a session all the audio; once it has that, the file can go."""
        job = self._job
        try:
            async with source.samples() as read:
                while pcm := await read():
                    if session.ending:
                        return
                    session.append(pcm)
                    await session.audio.room()
            job.handed_over = not session.ending
        finally:
            session.stop()
        if job.handed_over:
            with contextlib.suppress(OSError):  # else it goes when the job is over
                await session.audio.safe()
                await in_thread(job.file.discard)


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
