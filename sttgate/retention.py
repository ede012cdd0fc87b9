"""Retention: conversations and recordings go when they are old enough."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from sttgate.config.model import RetentionConfig
from sttgate.conversations import delete
from sttgate.errors import StoreError
from sttgate.stores import RecordingStore, SessionChange, SessionQuery, TranscriptStore

log = structlog.get_logger(__name__)

INTERVAL = 3600.0  # seconds between two sweeps
_DAY = 86_400.0
_PAGE = 100


class Retention:
    """Deletes what is older than ``config`` says; what it cannot delete now, the next sweep does.

    ``is_live(session_id)`` keeps a session that still runs, or is still to be recovered.
    """

    def __init__(
        self,
        config: RetentionConfig,
        transcripts: TranscriptStore,
        recordings: RecordingStore,
        is_live: Callable[[str], bool],
    ) -> None:
        self.config = config
        self._transcripts = transcripts
        self._recordings = recordings
        self._is_live = is_live

    async def run(self) -> None:
        """Sweep now and every ``INTERVAL``, for as long as the gateway runs."""
        while True:
            try:
                await self.sweep(time.time())
            except StoreError as error:
                log.error("retention_failed", error=str(error))
            await asyncio.sleep(INTERVAL)

    async def sweep(self, now: float) -> None:
        """Delete what is too old at ``now``, seconds since the epoch; raise StoreError."""
        sessions = recordings = 0
        if (days := self.config.transcripts_days) is not None:
            sessions = await self._delete_sessions(now - days * _DAY)
        if (days := self.config.recordings_days) is not None:
            recordings = await self._delete_recordings(now - days * _DAY)
        if sessions or recordings:
            log.info("retention", sessions=sessions, recordings=recordings)

    async def _delete_sessions(self, before: float) -> int:
        count, cursor = 0, None
        while True:
            page = await self._transcripts.list(
                SessionQuery(limit=_PAGE, until=before, cursor=cursor)
            )
            for session in page.sessions:
                if not self._is_live(session.start.id):
                    await delete(self._transcripts, self._recordings, session.start.id)
                    count += 1
            cursor = page.cursor
            if cursor is None:
                return count

    async def _delete_recordings(self, before: float) -> int:
        count = 0
        for session_id in await self._recordings.older_than(before):
            if self._is_live(session_id):
                continue
            # The row first: a crash in between leaves a file that the next sweep finds again.
            await self._transcripts.update(session_id, SessionChange(recording=False))
            count += await self._recordings.delete(session_id)
        return count
