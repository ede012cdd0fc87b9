"""What a process holds at one moment: tasks, threads, descriptors. What is left later is a leak."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from aiohttp.web_protocol import RequestHandler

_DESCRIPTORS = "/proc/self/fd"
_SHARED = ("asyncio_", "pytest_timeout", "pydevd")
"""Names of threads that belong to the process: the loop's default executor, a debugger."""


class Footprint:
    """What there is now; ``left`` tells later what has come on top and does not go away."""

    def __init__(self) -> None:
        self._tasks = asyncio.all_tasks()
        self._threads = set(threading.enumerate())
        self._descriptors = _descriptors()

    async def tasks_left(self, patience: float) -> str:
        """Name the tasks that are still there after ``patience`` seconds; empty if there is none."""
        return await _names(self._new_tasks, patience)

    async def threads_left(self, patience: float) -> str:
        """Name the threads that are still there after ``patience`` seconds."""
        return await _names(self._new_threads, patience)

    async def descriptors_left(self, patience: float, allowed: int = 0) -> int:
        """Count the open files and sockets above ``allowed`` that do not go away; 0 off Linux."""
        deadline = time.monotonic() + patience
        while (left := _descriptors() - self._descriptors - allowed) > 0:
            if time.monotonic() > deadline:
                return left + allowed
            gc.collect()
            await asyncio.sleep(0.02)
        return 0

    def _new_tasks(self) -> set[asyncio.Task[Any]]:
        return {
            task
            for task in asyncio.all_tasks() - self._tasks
            if task is not asyncio.current_task() and not _is_of_a_server(task)
        }

    def _new_threads(self) -> set[threading.Thread]:
        return {
            thread
            for thread in set(threading.enumerate()) - self._threads
            if not thread.name.startswith(_SHARED)
        }


async def _names(
    find: Callable[[], set[asyncio.Task[Any]]] | Callable[[], set[threading.Thread]],
    patience: float,
) -> str:
    deadline = time.monotonic() + patience
    # neither a task nor a thread tells when it ends
    while (left := find()) and time.monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return ", ".join(sorted(_name(each) for each in left))


def _is_of_a_server(task: asyncio.Task[Any]) -> bool:
    """Whether it waits for the next request on a connection that an emulator in this process keeps.

    What the client keeps of that connection counts as a descriptor.
    """
    return getattr(task.get_coro(), "cr_code", None) is RequestHandler.start.__code__


def _name(each: asyncio.Task[Any] | threading.Thread) -> str:
    if isinstance(each, threading.Thread):
        return each.name
    return f"{each.get_name()} ({getattr(each.get_coro(), '__qualname__', 'unknown')})"


def _descriptors() -> int:
    return len(os.listdir(_DESCRIPTORS)) if os.path.isdir(_DESCRIPTORS) else 0
