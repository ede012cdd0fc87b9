"""The queue in front of the decoding threads: finals before interims, fair between streams."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Urgency(IntEnum):
    """Lower goes first."""

    FINAL = 0
    INTERIM = 1


@dataclass(order=True, slots=True)
class _Job(Generic[Result]):
    urgency: Urgency
    turn: int
    number: int
    queued_at: float = field(compare=False)
    audio: Callable[[], bytes | None] = field(compare=False)
    result: asyncio.Future[Result | None] = field(compare=False)


class Decoder(Generic[Result]):
    """Runs ``recognize`` in ``workers`` threads.

    Belongs to the event loop: call every method from it. The queue holds few jobs for each stream,
    because a stream stops reading audio while too much of it waits here.
    """

    def __init__(
        self, recognize: Callable[[bytes], Result], pool: ThreadPoolExecutor, workers: int
    ) -> None:
        self._recognize = recognize
        self._pool = pool
        self._idle = workers
        self._closed = False
        self._queue: list[_Job[Result]] = []
        self._numbers = itertools.count()
        self._running: set[asyncio.Future[Result]] = set()

    def submit(
        self, audio: Callable[[], bytes | None], urgency: Urgency, turn: int = 0
    ) -> asyncio.Future[Result | None]:
        """Queue a piece of audio and return the future of its result; cancel that to withdraw.

        ``audio`` is asked for the PCM when a thread is free, so an interim hears the latest; if it
        returns None by then, so does the future. ``turn`` counts the finals this stream has waiting
        already: a stream's second final goes after every other stream's first.
        After ``close`` the future is cancelled.
        """
        result: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        if self._closed:
            result.cancel()
            return result
        job = _Job(urgency, turn, next(self._numbers), time.monotonic(), audio, result)
        heapq.heappush(self._queue, job)
        self._start()
        return result

    @property
    def backlog(self) -> float:
        """Seconds for which the first of the queued finals has waited, 0 when none waits."""
        while self._queue and self._queue[0].result.done():
            heapq.heappop(self._queue)
        if not self._queue or self._queue[0].urgency is not Urgency.FINAL:
            return 0.0
        return time.monotonic() - self._queue[0].queued_at

    async def close(self) -> None:
        """Cancel what is queued, and all that still comes, and wait for what is running."""
        self._closed = True
        for job in self._queue:
            job.result.cancel()
        self._queue.clear()
        if self._running:
            await asyncio.wait(self._running)

    def _start(self) -> None:
        while self._idle and self._queue:
            job = heapq.heappop(self._queue)
            if job.result.done():
                continue
            pcm = job.audio()
            if pcm is None:
                job.result.set_result(None)
                continue
            self._idle -= 1
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._pool, self._recognize, pcm)
            self._running.add(running)
            running.add_done_callback(partial(self._finish, job))

    def _finish(self, job: _Job[Result], running: asyncio.Future[Result]) -> None:
        self._running.discard(running)
        self._idle += 1
        error = running.exception()
        if not job.result.done():
            if error is None:
                job.result.set_result(running.result())
            else:
                job.result.set_exception(error)
        self._start()
