"""Doing things that must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


async def whole(
    doing: Coroutine[Any, Any, T], undo: Callable[[T], object] = lambda result: None
) -> T:
    """Return what ``doing`` returns; any cancellation waits until it is done, and then has it undone."""
    task = asyncio.create_task(doing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # a shutdown may cancel more than once
                await asyncio.wait({task})
        if not task.cancelled() and task.exception() is None:
            undo(task.result())
        raise


async def in_thread(job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``job`` in a thread, to its end: nobody may close a file that a thread still uses."""
    return await whole(asyncio.to_thread(partial(job, *args, **kwargs)))
