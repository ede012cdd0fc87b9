"""Whether new sessions should come here: load balancers ask it, and operators are shown it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sttgate.errors import StoreError
from sttgate.session.spool import Spool
from sttgate.stores import RecordingStore, TranscriptStore

STORE_PATIENCE = 10.0  # seconds a store may be out: storing waits, and words go on meanwhile
_CHECK_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Readiness:
    """What decides it. ``stores`` tells of spool, transcripts and recordings whether they can write.

    ``outage_s``: for how many seconds a store has refused, 0 if none does.
    """

    draining: bool
    full: bool
    stores: Mapping[str, bool]
    outage_s: float

    @property
    def ready(self) -> bool:
        """The verdict."""
        out = not self.stores["spool"] or self.outage_s > STORE_PATIENCE
        return not (self.draining or self.full or out)


class StoreWatch:
    """Asks the stores whether they can write, and remembers since when one cannot."""

    def __init__(
        self, spool: Spool, transcripts: TranscriptStore, recordings: RecordingStore
    ) -> None:
        self._spool = spool
        self._transcripts = transcripts
        self._recordings = recordings
        self._out_since: dict[str, float] = {}

    async def look(self) -> dict[str, bool]:
        """Return for spool, transcripts and recordings whether they can write."""
        transcripts, recordings = await asyncio.gather(
            _can_write(self._transcripts), _can_write(self._recordings)
        )
        now = time.monotonic()
        found = {
            "spool": self._spool.error is None,
            "transcripts": transcripts,
            "recordings": recordings,
        }
        for name, good in found.items():
            if good:
                self._out_since.pop(name, None)
            else:
                self._out_since.setdefault(name, now)
        return found

    @property
    def outage_s(self) -> float:
        """For how many seconds a store has refused, as far as it was looked at."""
        return time.monotonic() - min(self._out_since.values()) if self._out_since else 0.0


async def _can_write(store: TranscriptStore | RecordingStore) -> bool:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            await store.check()
    except (StoreError, TimeoutError):
        return False
    return True
