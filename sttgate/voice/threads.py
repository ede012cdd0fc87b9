"""Threads for engines that block, such as a model in this process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class EngineThreads:
    """Threads for an engine that blocks; they begin with the first work, and are called ``name``.

    ``number`` None: one for each CPU core that this process may use. Give the same number to
    ``BatchProvider(concurrency=…)``: its queue knows what is urgent, one in front of threads does not.
    Belongs to the event loop: call every method from it.
    """

    def __init__(self, name: str, number: int | None = None) -> None:
        self.number = number or _cores()
        self._name = name
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """Return what ``work`` returns; a call that is cancelled ends with its thread's work.

        A thread cannot be stopped, so its place stays taken until it is through.
        """
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.number, thread_name_prefix=self._name)
        job = self._pool.submit(work, *arguments)
        running = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            job.cancel()  # which does something only before it has begun
            await asyncio.wait({running})
            if not running.cancelled():
                running.exception()  # asked here, or asyncio complains that nobody did
            raise

    async def close(self) -> None:
        """Wait for what runs, and end the threads; ``run`` begins new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown)


def _cores() -> int:
    """Return how many CPU cores this process may use; PYTHON_CPU_COUNT says so from Python 3.13 on."""
    if (count := os.environ.get("PYTHON_CPU_COUNT", "")).isdecimal() and int(count):
        return int(count)
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
