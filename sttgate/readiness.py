"""Whether new sessions should come here: what ``/readyz`` answers and the status page shows."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sttgate.errors import StoreError
from sttgate.session.spool import Spool
from sttgate.stores import RecordingStore, TranscriptStore

STORE_PATIENCE = 10.0  # seconds a store may be out: storing waits, and words go on meanwhile
STORE_CHECK_TIMEOUT = 5.0  # seconds
_FRESH = 1.0  # seconds a check counts: stores write for it, and anybody may ask /readyz


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What speaks for and against new sessions."""

    stores: Mapping[str, bool]
    """Whether spool, transcripts and recordings can write."""
    draining: bool
    full: bool
    """Whether there are as many sessions as there may be."""
    outage_s: float
    """Seconds for which a store has refused; 0 where none does."""

    @property
    def ready(self) -> bool:
        """Whether new sessions are welcome; a store may be out for STORE_PATIENCE."""
        refused = self.draining or self.full or not self.stores["spool"]
        return not refused and self.outage_s <= STORE_PATIENCE


class StoreWatch:
    """Asks the stores whether they can write, and knows since when one cannot."""

    def __init__(
        self, spool: Spool, transcripts: TranscriptStore, recordings: RecordingStore
    ) -> None:
        self._spool = spool
        self._transcripts = transcripts
        self._recordings = recordings
        self._out_since: dict[str, float] = {}
        self._lock = asyncio.Lock()
        self._checked: dict[str, bool] = {}
        self._checked_at = -math.inf

    async def check(self) -> dict[str, bool]:
        """Return for spool, transcripts and recordings whether they can write, a second ago at most."""
        async with self._lock:
            if time.monotonic() - self._checked_at > _FRESH:
                self._checked = await self._check()
                self._checked_at = time.monotonic()
            return self._checked

    async def _check(self) -> dict[str, bool]:
        transcripts, recordings = await asyncio.gather(
            _can_write(self._transcripts), _can_write(self._recordings)
        )
        checked = {
            "spool": self._spool.error is None,
            "transcripts": transcripts,
            "recordings": recordings,
        }
        now = time.monotonic()
        for name, good in checked.items():
            if good:
                self._out_since.pop(name, None)
            else:
                self._out_since.setdefault(name, now)
        return checked

    @property
    def outage_s(self) -> float:
        """Seconds since the check that was the first to fail; 0 if the last one was good."""
        now = time.monotonic()
        return max((now - since for since in self._out_since.values()), default=0.0)


async def _can_write(store: TranscriptStore | RecordingStore) -> bool:
    try:
        async with asyncio.timeout(STORE_CHECK_TIMEOUT):
            await store.check()
    except (StoreError, TimeoutError):
        return False
    return True
