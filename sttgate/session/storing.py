"""The archive of a live session: brings it to the stores, however long that takes.

An outage of a store delays storing and nothing else; what is not stored yet lies in the spool.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog
from msgspec import UnsetType
from structlog.contextvars import bind_contextvars

from sttgate.errors import StoreError
from sttgate.events import Word
from sttgate.session import entries
from sttgate.session.audio_log import AudioLog
from sttgate.session.entries import AnyEntry
from sttgate.session.event_log import EventLog
from sttgate.session.spool import SpoolFolder
from sttgate.session.tally import StoreOp, Tally
from sttgate.stores import (
    Gap,
    Mark,
    RecordingStore,
    SessionEnd,
    SessionStart,
    TranscriptStore,
    Utterance,
)

log = structlog.get_logger(__name__)

_FIRST_RETRY = 0.1  # seconds, doubled each time
_MAX_RETRY = 10.0
_RECORD_HEAD_START = 1.0  # seconds the recording may take before the transcript's end goes ahead


class Archive:
    """Feeds a session's events to the transcript store, and its audio to the recording store."""

    def __init__(
        self,
        start: Callable[[], SessionStart],
        audio: AudioLog,
        events: EventLog,
        folder: SpoolFolder,
        transcripts: TranscriptStore | None,
        recordings: RecordingStore | None,
        on_outage: Callable[[str], None],
        tally: Tally,
    ) -> None:
        self.transcript_stored = False
        self.audio_stored = False
        self._start = start
        self._audio = audio
        self._events = events
        self._folder = folder
        self._transcripts = transcripts
        self._recordings = recordings
        self._on_outage = on_outage
        self._tally = tally
        self._retries: list[_Retry] = []
        self._feeder: _Feeder | None = None
        self._finishing: asyncio.Task[None] | None = None
        self.begun = False

    @property
    def outage_s(self) -> float:
        """How long a store has been refusing, 0 if none does."""
        now = time.monotonic()
        return max((now - retry.since for retry in self._retries if retry.since), default=0.0)

    def begin(self) -> None:
        """Start to store the transcript; called with the first audio."""
        if self.begun:
            return
        self.begun = True
        if self._transcripts is not None:
            retry = self._retry("The transcript could not be stored yet.")
            self._feeder = _Feeder(self._transcripts, self._events, self._start(), retry)

    async def finish(self, end: SessionEnd, timeout: float) -> None:
        """Store the recording and how the session ended; return after ``timeout`` at the latest.

        What is owed then is stored by ``settled``.
        """
        self._finishing = asyncio.create_task(self._finish(end), name="archive")
        await asyncio.wait({self._finishing}, timeout=timeout)

    async def settled(self) -> None:
        """Return when everything is stored, if that takes for ever."""
        if self._finishing is not None:
            await self._finishing

    async def discard(self, timeout: float) -> None:
        """Store nothing, and delete what was stored already; returns like ``finish``."""
        if self._feeder is not None and self._transcripts is not None:
            deleting = self._delete(self._feeder, self._transcripts)
            self._finishing = asyncio.create_task(deleting, name="discard")
            await asyncio.wait({self._finishing}, timeout=timeout)

    async def _delete(self, feeder: _Feeder, transcripts: TranscriptStore) -> None:
        await feeder.cancel()

        async def delete() -> None:
            await transcripts.delete(feeder.start.id)

        await self._retry("The transcript could not be deleted yet.")("delete", delete)

    async def cancel(self) -> None:
        """Stop storing; what is owed stays in the spool."""
        if self._finishing is not None and not self._finishing.done():
            self._finishing.cancel()
            await asyncio.wait({self._finishing})
        if self._feeder is not None:
            await self._feeder.cancel()

    def _retry(self, message: str) -> _Retry:
        retry = _Retry(self._on_outage, message, self._tally)
        self._retries.append(retry)
        return retry

    async def _finish(self, end: SessionEnd) -> None:
        recording = asyncio.create_task(self._record(), name="record")
        try:
            # The store's row says whether there is a recording, and usually that is known at once.
            await asyncio.wait({recording}, timeout=_RECORD_HEAD_START)
            if self._feeder is not None:
                said = self.audio_stored
                await self._feeder.finish(replace(end, recording=said))
                self.transcript_stored = True
                await recording
                if self.audio_stored and not said:
                    await self._feeder.store_end(replace(end, recording=True))
            await recording
        finally:
            if not recording.done():
                recording.cancel()
                await asyncio.wait({recording})

    async def _record(self) -> None:
        recordings = self._recordings
        if recordings is None:
            return

        async def put() -> None:
            await recordings.put(self._folder.path.name, await self._audio.finish())

        await self._retry("The recording could not be stored yet.")("recording", put)
        self.audio_stored = True


class _Retry:
    """Repeats a call until it works, and times it; tells of an outage once."""

    def __init__(self, on_outage: Callable[[str], None], message: str, tally: Tally) -> None:
        self._on_outage = on_outage
        self._message = message
        self._tally = tally
        self.since = 0.0  # when the outage began, on the monotonic clock

    async def __call__(self, op: StoreOp, call: Callable[[], Awaitable[None]]) -> None:
        delay = _FIRST_RETRY
        while True:
            began = time.monotonic()
            try:
                await call()
                self._tally.store_writes[op].observe(time.monotonic() - began)
                self.since = 0.0
                return
            except Exception as error:  # a plugin's mistake must not lose a session either
                known = isinstance(error, (StoreError, OSError))
                if not self.since:
                    log.error("store_failed", error=str(error), exc_info=None if known else error)
                    self.since = time.monotonic()
                    self._on_outage(self._message)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _MAX_RETRY)


class _Feeder:
    """A reader of the event log that stores each utterance as it grows, one row per utterance."""

    def __init__(
        self, store: TranscriptStore, events: EventLog, start: SessionStart, retry: _Retry
    ) -> None:
        self.start = start
        self._store = store
        self._events = events
        self._retry = retry
        self._marks: list[Mark] = []
        self._gaps: list[Gap] = []
        self._open: dict[int, Utterance] = {}
        self._provider: str | None = None
        self._until: int | None = None
        self._more = asyncio.Event()
        self._reader = events.reader(0, self._more.set, durable_only=True)
        self._task = asyncio.create_task(self._run(), name="store")

    async def finish(self, end: SessionEnd) -> None:
        """Store what was said up to now, then ``end``."""
        self._until = self._events.last_seq
        self._more.set()
        await self._task
        await self.store_end(end)

    async def store_end(self, end: SessionEnd) -> None:
        """Store ``end``, with the marks and gaps of the log."""
        complete = replace(end, marks=tuple(self._marks), gaps=tuple(self._gaps))
        await self._retry("end", lambda: self._store.end(self.start.id, complete))

    async def cancel(self) -> None:
        """Stop; what was read is stored."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        # Begun by whoever appended the first audio, so the session's own context is not around it.
        bind_contextvars(session=self.start.id)
        try:
            await self._retry("begin", lambda: self._store.begin(self.start))
            while self._until is None or self._reader.after < self._until:
                self._more.clear()
                batch = await self._reader.take()
                for entry in batch:
                    await self._take(entry)
                if not batch:
                    await self._more.wait()
        finally:
            self._reader.close()

    async def _take(self, entry: AnyEntry) -> None:
        match entry:
            case entries.Transcript(is_final=True):
                before = self._open.get(entry.utterance_id)
                self._open[entry.utterance_id] = grow(before, entry, self._provider)
                await self._add(self._open[entry.utterance_id])
            case entries.UtteranceEnd():
                ended = self._open.pop(entry.utterance_id, None)
                if ended is not None and not ended.complete:
                    await self._add(replace(ended, complete=True))
            case entries.Started() | entries.Provider():
                self._provider = entry.provider
            case entries.Marked():
                self._marks.append(Mark(at=entry.t, label=entry.label))
            case entries.Gap():
                gap = Gap(start=entry.start, end=entry.end, channel=entry.channel)
                self._gaps.append(gap)

    async def _add(self, utterance: Utterance) -> None:
        def add() -> Awaitable[None]:
            return self._store.add_utterance(self.start.id, utterance)

        await self._retry("utterance", add)


def grow(before: Utterance | None, final: entries.Transcript, provider: str | None) -> Utterance:
    """Return an utterance with its next final; ``before`` is None at the first one."""
    words = () if isinstance(final.words, UnsetType) else final.words
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
        provider=provider,
        words=(*before.words, *spoken) if before else spoken,
        complete=final.speech_final,
    )
