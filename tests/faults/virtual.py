"""Virtual time: a loop whose clock jumps to the next timer when there is nothing else to do.

Work in threads of the loop's executors counts as something to do, so files are really written.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

_IN_FLIGHT = 0.0005  # seconds the kernel gets to carry bytes from one loopback socket to another


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its ``time`` is virtual and starts at 0."""

    def __init__(self) -> None:
        self.now = 0.0
        self.jobs = 0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        """Return virtual seconds."""
        return self.now

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Note that there is something to wait for."""
        future = super().run_in_executor(executor, func, *args)
        self.jobs += 1
        future.add_done_callback(self._note_done)
        return future

    def _note_done(self, future: asyncio.Future[Any]) -> None:
        self.jobs -= 1


class _Skipping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; if nothing will be, let the time pass."""
        if timeout is None or self._loop.jobs:
            return super().select(timeout)
        ready = super().select(0)
        if timeout <= 0 or ready:
            return ready
        # The loop's own wake-up pipe is always there; what is beyond that are sockets.
        if len(self.get_map()) > 1 and (ready := super().select(_IN_FLIGHT)):
            return ready
        self._loop.now += timeout
        return []


def run_virtually(
    main: Coroutine[Any, Any, T], wall: Callable[[float], float] = lambda now: time.time()
) -> T:
    """Run ``main`` in virtual time, which ``time.monotonic`` in sttgate follows.

    ``wall`` makes of a virtual time what ``time.time`` in sttgate says.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.MonkeyPatch.context() as patch:
        loop = runner.get_loop()
        clock = SimpleNamespace(monotonic=loop.time, time=lambda: wall(loop.time()))
        for name, module in list(sys.modules.items()):
            if name.startswith("sttgate") and getattr(module, "time", None) is time:
                patch.setattr(module, "time", clock)
        return runner.run(_without_leaks(main))


async def _without_leaks(main: Coroutine[Any, Any, T]) -> T:
    result = await main
    async with asyncio.timeout(60):
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
    return result
