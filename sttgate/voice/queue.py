"""The queue in front of an engine: finals before interims, fair between streams.

An engine does not stop in the middle of an interim because a final comes. So when finals have to
wait, interims pause: the longer the wait was, the longer.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Any, Generic, TypeVar

from sttgate.errors import ProviderTimeout

Result = TypeVar("Result")
Work = Callable[[], Coroutine[Any, Any, Result] | None]
"""Begins a piece of work, or returns None when by now nobody wants it."""


_STRAIN = 0.2  # seconds finals may wait before interims pause
_RELIEF = 5.0  # seconds in which a wait is forgotten but for a third
_PAUSE = 4.0  # for each interim, times its length, when finals wait twice as long


class Urgency(IntEnum):
    """Lower goes first."""

    FINAL = 0
    GUESS = 1
    """A final on suspicion: the speaker may go on, and then it was for nothing."""
    INTERIM = 2


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
        self._waited = 0.0  # the longest wait of finals lately, at ``_waited_at``
        self._waited_at = 0.0
        self._resting_until = 0.0  # interims
        self._rested: asyncio.TimerHandle | None = None

    def submit(
        self, work: Work[Result], urgency: Urgency, turn: int = 0
    ) -> asyncio.Future[Result | None]:
        """Queue ``work`` and return the future of its result; cancel that to stop or withdraw it.

        ``work`` is called when there is room, so an interim hears the latest audio; if it returns
        None, so does the future. ``turn`` counts the finals this stream has waiting already: a
        stream's second final goes after every other stream's first. Work that takes too long ends
        in ProviderTimeout. After ``close`` the future is cancelled.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result | None] = loop.create_future()
        if self._closed:
            result.cancel()
            return result
        job = _Job(urgency, turn, next(self._numbers), loop.time(), work, result)
        heapq.heappush(self._queue, job)
        self._start()
        return result

    def promote(self, result: asyncio.Future[Result | None], turn: int = 0) -> None:
        """Make a final of a guess that came true; if it still waits, it keeps its place in line."""
        for job in self._queue:
            if job.result is result:
                job.urgency, job.turn = Urgency.FINAL, turn
                heapq.heapify(self._queue)
                return

    @property
    def backlog(self) -> float:
        """Seconds for which the first of the queued finals has waited, 0 when none waits."""
        job = self._first()
        if job is None or job.urgency is not Urgency.FINAL:
            return 0.0
        return asyncio.get_running_loop().time() - job.queued_at

    async def close(self) -> None:
        """Cancel what is queued, what runs and all that still comes; return when nothing runs."""
        self._closed = True
        if self._rested is not None:
            self._rested.cancel()
        for job in self._queue:
            job.result.cancel()
        self._queue.clear()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _first(self) -> _Job[Result] | None:
        """Return the job that is next, None if there is none that somebody wants."""
        while self._queue and self._queue[0].result.done():
            heapq.heappop(self._queue)
        return self._queue[0] if self._queue else None

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        while self._limit is None or len(self._running) < self._limit:
            if (job := self._first()) is None:
                return
            now = loop.time()
            if job.urgency is Urgency.INTERIM and now < self._resting_until:
                if self._rested is None:
                    self._rested = loop.call_at(self._resting_until, self._go_on)
                return
            heapq.heappop(self._queue)
            if job.urgency is Urgency.FINAL:
                self._note_wait(now - job.queued_at, now)
            work = job.work()
            if work is None:
                job.result.set_result(None)
                continue
            task = asyncio.create_task(self._within(work), name="recognize")
            self._running.add(task)
            job.result.add_done_callback(partial(_stop, task))
            task.add_done_callback(partial(self._finish, job, now))

    def _note_wait(self, waited: float, now: float) -> None:
        faded = self._waited * math.exp((self._waited_at - now) / _RELIEF)
        self._waited, self._waited_at = max(faded, waited), now

    def _go_on(self) -> None:
        self._rested = None
        self._start()

    async def _within(self, work: Coroutine[Any, Any, Result]) -> Result:
        try:
            async with asyncio.timeout(self._timeout):
                return await work
        except TimeoutError as error:
            raise ProviderTimeout(
                f"the engine took more than {self._timeout:g} s for one utterance"
            ) from error

    def _finish(self, job: _Job[Result], began_at: float, task: asyncio.Task[Result]) -> None:
        self._running.discard(task)
        if job.urgency is Urgency.INTERIM:
            now = asyncio.get_running_loop().time()
            strain = max(0.0, self._waited / _STRAIN - 1)
            self._resting_until = now + strain * _PAUSE * (now - began_at)
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
