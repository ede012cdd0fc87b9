"""Running a coroutine from a command: on uvloop where there is one, logs set up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from threading import Thread
from typing import Any, TypeVar

import click

T = TypeVar("T")


def run(
    coroutine: Coroutine[Any, Any, T],
    *,
    level: str = "warning",
    log_format: str = "console",
    worker: int | None = None,
) -> T:
    """Run ``coroutine`` to its end and return its value; ``--debug`` beats ``level``.

    With ``worker`` every line that is logged carries its number.
    Ctrl-C cancels the coroutine, and KeyboardInterrupt comes out once it has ended.
    """
    from sttgate.operations.logs import set_up_logs

    context = click.get_current_context(silent=True)
    debug = context is not None and context.find_root().params.get("debug")
    set_up_logs("debug" if debug else level, log_format, worker)
    if sys.platform == "win32":
        return asyncio.run(coroutine)
    import uvloop

    return uvloop.run(coroutine)


async def in_thread(job: Callable[[], T]) -> T:
    """Return the value of a blocking ``job``, in a thread that the end of the command leaves behind.

    The loop's own executor would make Ctrl-C wait for a pipe that says nothing.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(job())
        except BaseException as error:
            future.set_exception(error)

    # Marked as running: an asyncio future that is cancelled then leaves it alone.
    future.set_running_or_notify_cancel()
    Thread(target=work, daemon=True).start()
    return await asyncio.wrap_future(future)
