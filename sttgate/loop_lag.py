"""How late the event loop is: whatever blocks it delays every session of the process."""

from __future__ import annotations

import asyncio
import time

import structlog

from sttgate.session.histogram import Histogram

log = structlog.get_logger(__name__)

INTERVAL = 0.5  # seconds between two looks
STALL = 0.25  # seconds late that are worth a line in the log
_QUIET = 10.0  # seconds between two such lines


async def watch_loop_lag(lag: Histogram) -> None:
    """Measure for ever how much later than asked for this task is woken."""
    told_at = -_QUIET
    while True:
        due = time.monotonic() + INTERVAL
        await asyncio.sleep(INTERVAL)
        now = time.monotonic()
        late = max(0.0, now - due)
        lag.observe(late)
        if late > STALL and now - told_at > _QUIET:
            told_at = now
            log.warning("event_loop_stalled", seconds=round(late, 3))
