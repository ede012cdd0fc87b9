"""The queue in front of an engine: finals before interims, fair between streams."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Any, Generic, TypeVar

from sttgate.errors import ProviderTimeout

Result = TypeVar("Result")
Work = Callable[[], Coroutine[Any, Any, Result] | None]
"""Begins a piece of work, or returns None when by now nobody wants it."""


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
    work: Work[Result] = field(compare=False)
    result: asyncio.Future[Result | None] = field(compare=False)


class WorkQueue(Generic[Result]):
    """Runs ``limit`` pieces of work at once, None for all, each for ``timeout`` seconds at most.

    Belongs to the event loop: call every method from it. It holds few jobs for each stream, because
    a stream stops reading audio while too much of it waits here.
    """

    def __init__(self, limit: int | None, timeout: float) -> None:
        self._limit = limit
        self._timeout = timeout
        self._closed = False
        self._queue: list[_Job[Result]] = []
        self._numbers = itertools.count()
        self._running: set[asyncio.Task[Result]] = set()

    def submit(
        self, work: Work[Result], urgency: Urgency, turn: int = 0
    ) -> asyncio.Future[Result | None]:
        """Queue ``work`` and return the future of its result; cancel that to stop or withdraw it.

        ``work`` is called when there is room, so an interim hears the latest audio; if it returns
        None, so does the future. ``turn`` counts the finals this stream has waiting already: a
        stream's second final goes after every other stream's first. Work that takes too long ends
        in ProviderTimeout. After ``close`` the future is cancelled.
        """
        result: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        if self._closed:
            result.cancel()
            return result
        job = _Job(urgency, turn, next(self._numbers), time.monotonic(), work, result)
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
        """Cancel what is queued, what runs and all that still comes; return when nothing runs."""
        self._closed = True
        for job in self._queue:
            job.result.cancel()
        self._queue.clear()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _start(self) -> None:
        while self._queue and (self._limit is None or len(self._running) < self._limit):
            job = heapq.heappop(self._queue)
            if job.result.done():
                continue
            work = job.work()
            if work is None:
                job.result.set_result(None)
                continue
            task = asyncio.create_task(self._within(work), name="recognize")
            self._running.add(task)
            job.result.add_done_callback(partial(_stop, task))
            task.add_done_callback(partial(self._finish, job))

    async def _within(self, work: Coroutine[Any, Any, Result]) -> Result:
        try:
            async with asyncio.timeout(self._timeout):
                return await work
        except TimeoutError as error:
            raise ProviderTimeout(
                f"the engine took more than {self._timeout:g} s for one utterance"
            ) from error

    def _finish(self, job: _Job[Result], task: asyncio.Task[Result]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if job.result.done():
            pass
        elif task.cancelled():
            job.result.cancel()
        elif error is not None:
            job.result.set_exception(error)
        else:
            job.result.set_result(task.result())
        self._start()


def _stop(task: asyncio.Task[Any], result: asyncio.Future[Any]) -> None:
    if result.cancelled():
        task.cancel()
