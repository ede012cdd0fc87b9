"""Waiting for something to come true."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable


async def until(check: Callable[[], object], timeout: float = 60.0, every: float = 0.02) -> float:
    """Return, on the loop's clock, after how many seconds ``check`` or what it awaits came true."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        result = check()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return loop.time() - begun
        assert loop.time() - begun < timeout, "it did not come true in time"
        await asyncio.sleep(every)
