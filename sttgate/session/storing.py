"""The store feeder: brings a session's finals to the transcript store, however long that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from msgspec import UnsetType

from sttgate.errors import StoreError
from sttgate.events import Word
from sttgate.session import entries
from sttgate.session.entries import AnyEntry
from sttgate.session.event_log import EventLog
from sttgate.stores import Mark, SessionEnd, SessionStart, TranscriptStore, Utterance

log = structlog.get_logger(__name__)

_FIRST_RETRY = 0.1
_MAX_RETRY = 10.0


class StoreFeeder:
    """A reader of the event log. Stores each utterance as it grows, one row per utterance."""

    def __init__(
        self,
        store: TranscriptStore,
        events: EventLog,
        start: SessionStart,
        on_outage: Callable[[StoreError], None],
    ) -> None:
        self.utterances = 0
        self.marks: list[Mark] = []
        self._store = store
        self._events = events
        self._start = start
        self._on_outage = on_outage
        self._open: dict[int, Utterance] = {}
        self._provider: str | None = None
        self._until: int | None = None
        self._more = asyncio.Event()
        self._reader = events.reader(0, self._more.set)

    async def run(self, end: Awaitable[SessionEnd]) -> None:
        """Store the session until ``end`` says how it ended and all before is stored.

        ``end`` must be awaited by nobody else; its value is stored last.
        """
        ending = asyncio.ensure_future(end)
        ending.add_done_callback(lambda _: self._more.set())
        try:
            await self._retry(lambda: self._store.begin(self._start))
            while True:
                self._more.clear()
                last_seq, ended = self._events.last_seq, ending.done()
                batch = await self._reader.take()
                for entry in batch:
                    await self._take(entry)
                if ended and self._reader.after >= last_seq:
                    break
                if not batch:
                    await self._more.wait()
            outcome = await ending
            await self._retry(lambda: self._store.end(self._start.id, outcome))
        finally:
            ending.cancel()
            self._reader.close()

    async def _take(self, entry: AnyEntry) -> None:
        match entry:
            case entries.Transcript(is_final=True):
                utterance = self._grown(entry)
                self._open[entry.utterance_id] = utterance
                await self._retry(lambda: self._store.add_utterance(self._start.id, utterance))
            case entries.UtteranceEnd():
                self._open.pop(entry.utterance_id, None)
                self.utterances += 1
            case entries.Started() | entries.Provider():
                self._provider = entry.provider
            case entries.Marked():
                self.marks.append(Mark(at=entry.t, label=entry.label))

    def _grown(self, final: entries.Transcript) -> Utterance:
        words = () if isinstance(final.words, UnsetType) else final.words
        before = self._open.get(final.utterance_id)
        spoken = tuple(
            Word(text=w.word, start=w.start, end=w.end, confidence=w.confidence, speaker=w.speaker)
            for w in words
        )
        return Utterance(
            number=final.utterance_id,
            start=before.start if before else final.start,
            end=final.end,
            text=f"{before.text} {final.text}" if before else final.text,
            channel=final.channel,
            speaker=final.speaker,
            language=final.language,
            confidence=final.confidence,
            provider=self._provider,
            words=(*before.words, *spoken) if before else spoken,
            complete=final.speech_final,
        )

    async def _retry(self, call: Callable[[], Awaitable[None]]) -> None:
        delay = _FIRST_RETRY
        while True:
            try:
                await call()
                return
            except StoreError as error:
                if delay == _FIRST_RETRY:
                    log.warning("store_failed", session=self._start.id, error=str(error))
                    self._on_outage(error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _MAX_RETRY)
