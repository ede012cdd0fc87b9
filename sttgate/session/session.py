"""One session: its states, and what happens between the first byte and the last event."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from msgspec import UNSET

from sttgate.errors import ProviderError, StoreError
from sttgate.session import entries
from sttgate.session.audio_log import AudioLog, FinalizeRequest
from sttgate.session.chain import Chain, ConfiguredProvider
from sttgate.session.entries import AnyEntry, StopReason
from sttgate.session.event_log import EventLog
from sttgate.session.params import SessionParams
from sttgate.session.recognition import Recognition
from sttgate.session.spool import Spool, SpoolFile
from sttgate.session.states import State, check_move
from sttgate.session.storing import StoreFeeder
from sttgate.stores import (
    Mark,
    RecordingStore,
    Scalar,
    SessionEnd,
    SessionStart,
    SessionState,
    TranscriptStore,
)

log = structlog.get_logger(__name__)

FINALIZE_TIMEOUT = 5.0  # seconds; then `finalized` comes with a warning
DRAIN_TIMEOUT = 10.0  # seconds without progress after the audio ended
STORE_TIMEOUT = 5.0  # seconds `stopped` waits for a store that is out
AUDIO_FILE = "audio.wav"
EVENTS_FILE = "events.jsonl"
CLIENT_MESSAGE = "The speech service is unavailable. Try again."


class Session:
    """A live session. Feed it with ``append``, read ``events``, end it with ``stop``."""

    def __init__(
        self,
        params: SessionParams,
        chain: Chain,
        spool: Spool,
        files: tuple[SpoolFile, SpoolFile],
        transcripts: TranscriptStore,
        recordings: RecordingStore,
    ) -> None:
        audio_file, events_file = files
        self.id = params.id
        self.params = params
        self.state = State.OPENING
        self.failed = False
        self.paused = False
        self.audio = AudioLog(params.format, audio_file, spool)
        self.events = EventLog(events_file, spool)
        self._files = files
        self._chain = chain
        self._spool = spool
        self._recordings = recordings
        self._created_at = time.time()
        self._provider: ConfiguredProvider | None = None
        self._metadata = dict(params.metadata)
        self._words = 0
        self._utterances = 0
        self._discard = False
        self._reason: StopReason = "client"
        self._stop = asyncio.Event()
        self._ended: asyncio.Future[SessionEnd] = asyncio.get_running_loop().create_future()
        self._storing: asyncio.Task[None] | None = None
        self._marks: Sequence[Mark] = ()
        self._transcripts = transcripts
        self._timers: dict[int, asyncio.TimerHandle] = {}
        numbers = itertools.count(1)
        self._recognitions = [
            Recognition(
                self.audio,
                chain,
                params.stream,
                channel=channel,
                numbers=numbers,
                emit=self._emit,
                on_provider=self._on_provider,
                on_finalized=self._on_finalized,
            )
            for channel in (range(params.format.channels) if params.multichannel else [None])
        ]

    # --- what a caller does -------------------------------------------------------------------

    def append(self, pcm: bytes) -> None:
        """Take audio in the session's format; dropped while paused and after ``stop``."""
        if self.paused or self._stop.is_set():
            return
        self.audio.append(pcm)
        if self._storing is None and self.params.store_transcript:
            self._begin_storing()

    def finalize(self, request_id: Any) -> None:
        """Ask for finals for all audio so far; ``Finalized`` with the same id will follow."""
        if self._stop.is_set():
            return
        request = FinalizeRequest(
            self.audio.size, request_id, {recognition.channel for recognition in self._recognitions}
        )
        loop = asyncio.get_running_loop()
        self._timers[id(request)] = loop.call_later(
            FINALIZE_TIMEOUT, self._finalize_timed_out, request
        )
        self.audio.finalize(request)

    def pause(self) -> None:
        """Drop audio from here on; the provider stays connected."""
        self.paused = True
        self.events.append(entries.Paused(t=round(self.audio.seconds, 3)))

    def unpause(self) -> None:
        """Take audio again."""
        self.paused = False
        self.events.append(entries.Unpaused(t=round(self.audio.seconds, 3)))

    def mark(self, label: str) -> None:
        """Set a bookmark at the current audio position."""
        self.events.append(entries.Marked(t=round(self.audio.seconds, 3), label=label))

    def add_metadata(self, metadata: Mapping[str, Scalar]) -> None:
        """Merge ``metadata`` into what is stored with the session."""
        self._metadata.update(metadata)

    def warn(self, code: str, message: str) -> None:
        """Tell the client something that is not fatal."""
        self.events.append(entries.Warning(code=code, message=message))

    def stop(self, reason: StopReason = "client", *, discard: bool = False) -> None:
        """End the audio; the last finals, then ``Stopped`` follow. Later calls change nothing."""
        if not self._stop.is_set():
            self._reason = reason
            self._discard = discard
            self._stop.set()
            self.audio.end()

    # --- the life of the session ----------------------------------------------------------------

    async def run(self) -> None:
        """Live until everything is settled, stored and said; runs as a task of the gateway."""
        try:
            complete = await self._recognise()
            self._move(State.DRAINING)
            await self._close(complete)
        finally:
            for timer in self._timers.values():
                timer.cancel()
            if self._storing is not None:
                self._storing.cancel()
                await asyncio.wait({self._storing})
            for file in self._files:
                await self._spool.run(file.close)

    async def _recognise(self) -> bool:
        """Return once the audio has ended and is settled, or never will be; whether it all is."""
        running: set[asyncio.Task[Any]] = {
            asyncio.create_task(recognition.run()) for recognition in self._recognitions
        }
        stopping: asyncio.Task[Any] = asyncio.create_task(self._stop.wait())
        complete = True
        try:
            while running and not stopping.done():
                waiting = running | {stopping}
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                running -= done
                complete &= self._note_failures(done - {stopping})
            # No provider is left; the audio is still recorded until the caller stops.
            await stopping
            progress, deadline = self._progress(), time.monotonic() + DRAIN_TIMEOUT
            while running:
                done, running = await asyncio.wait(running, timeout=0.5)
                complete &= self._note_failures(done)
                if (now := self._progress()) != progress:
                    progress, deadline = now, time.monotonic() + DRAIN_TIMEOUT
                if running and time.monotonic() > deadline:
                    log.warning("drain_timed_out", session=self.id)
                    return False
            return complete
        finally:
            leftover = running | {stopping}
            for task in leftover:
                task.cancel()
            await asyncio.wait(leftover)

    def _progress(self) -> list[tuple[int, int]]:
        return [recognition.progress for recognition in self._recognitions]

    def _note_failures(self, done: set[asyncio.Task[Any]]) -> bool:
        complete = True
        for task in done:
            if (error := task.exception()) is not None:
                complete = False
                self._fail(error)
        return complete

    def _fail(self, error: BaseException) -> None:
        """Tell the client, once, that no provider is left."""
        if not isinstance(error, ProviderError):
            log.error("recognition_failed", session=self.id, exc_info=error)
        if self.failed:
            return
        self.failed = True
        known = error if isinstance(error, ProviderError) else None
        self.events.append(
            entries.Error(
                message=CLIENT_MESSAGE,
                code=known.code if known else "internal",
                retryable=True,
                provider=self._chain[-1].name,
                provider_code=(known and known.provider_code) or UNSET,
                session_id=self.id,
            )
        )

    async def _close(self, complete: bool) -> None:
        """Put the recording away, store the outcome, say ``Stopped``, remove the spool."""
        heard = self.audio.size > 0
        if self.audio.misaligned:
            self.warn("audio_misaligned", "The audio ended inside a sample; that piece is dropped.")
        recorded = heard and self.params.store_audio and not self._discard and await self._record()
        state: SessionState = "completed" if complete else "incomplete"
        if self.failed and self._words == 0:
            state = "failed"
        stored = heard and await self._store(state, recorded)
        self._move(State.DISCARDED if self._discard else State(state))
        provider = self._provider
        self.events.append(
            entries.Stopped(
                session_id=self.id,
                full_transcription=await self.events.full_text(),
                reason=self._reason,
                duration_s=round(self.audio.seconds, 3),
                utterances=self._utterances,
                words=self._words,
                provider=provider.name if provider else None,
                model=self.params.stream.model,
                stored=entries.Stored(transcript=stored, audio=recorded),
                links=entries.Links(
                    session=f"/api/v1/sessions/{self.id}" if stored else None,
                    audio=f"/api/v1/sessions/{self.id}/audio" if recorded else None,
                ),
                usage=entries.Usage(audio_s=round(self.audio.seconds, 3)),
            )
        )
        owed = self.params.store_transcript > stored or self.params.store_audio > recorded
        if heard and owed and not self._discard:
            log.error("session_left_in_spool", session=self.id)
        else:
            await self._spool.remove(self.id)

    async def _record(self) -> bool:
        try:
            await self.audio.finish()
            await self._recordings.put(self.id, self._files[0].path)
            return True
        except (OSError, StoreError) as error:
            log.error("recording_failed", session=self.id, error=str(error))
            self.warn("storage_failed", "The recording could not be stored yet.")
            return False

    def _begin_storing(self) -> None:
        feeder = StoreFeeder(
            self._transcripts,
            self.events,
            SessionStart(
                id=self.id,
                created_at=self._created_at,
                protocol=self.params.protocol,
                sample_rate=self.params.format.sample_rate,
                channels=self.params.format.channels,
                provider=self._provider.name if self._provider else None,
                model=self.params.stream.model,
                language=self.params.stream.language,
                title=self.params.title,
                client_ref=self.params.client_ref,
                metadata=dict(self._metadata),
            ),
            lambda _: self.warn("storage_failed", "The transcript could not be stored yet."),
        )
        self._marks = feeder.marks
        self._storing = asyncio.create_task(feeder.run(self._ended), name=f"store {self.id}")

    async def _store(self, state: SessionState, recorded: bool) -> bool:
        if self._storing is None:
            return False
        if self._discard:
            self._storing.cancel()
            await asyncio.wait({self._storing})
            try:
                await self._transcripts.delete(self.id)
            except StoreError as error:
                log.error("discard_failed", session=self.id, error=str(error))
            return False
        self._ended.set_result(
            SessionEnd(
                state=state,
                ended_at=time.time(),
                duration=self.audio.seconds,
                reason=self._reason,
                recording=recorded,
                provider=self._provider.name if self._provider else None,
                model=self.params.stream.model,
                language=self.params.stream.language,
                metadata=self._metadata,
                marks=self._marks,
                usage={"audio_s": round(self.audio.seconds, 3)},
            )
        )
        done, _ = await asyncio.wait({self._storing}, timeout=STORE_TIMEOUT)
        if done and (failure := self._storing.exception()) is not None:
            log.error("storing_failed", session=self.id, exc_info=failure)
            return False
        return bool(done)

    # --- what recognition reports ---------------------------------------------------------------

    def _emit(self, new: list[AnyEntry]) -> None:
        for entry in new:
            if isinstance(entry, entries.Transcript) and entry.is_final:
                self._words += len(entry.text.split())
            elif isinstance(entry, entries.UtteranceEnd):
                self._utterances += 1
            self.events.append(entry)

    def _on_provider(self, provider: ConfiguredProvider, error: ProviderError | None) -> None:
        before, self._provider = self._provider, provider
        if error is not None:
            state: entries.ProviderState = "reconnecting" if provider is before else "failed_over"
            self.events.append(entries.Provider(state=state, provider=provider.name))
            self._move(State.RECOVERING)
        elif self.state is State.OPENING:
            self._move(State.LISTENING)
            self._say_started(provider)
        elif self.state is State.RECOVERING:
            self._move(State.LISTENING)
            self.events.append(entries.Provider(state="ready", provider=provider.name))

    def _say_started(self, provider: ConfiguredProvider) -> None:
        created = datetime.fromtimestamp(self._created_at, UTC).isoformat(timespec="milliseconds")
        self.events.append(
            entries.Started(
                session_id=self.id,
                provider=provider.name,
                model=self.params.stream.model,
                language=self.params.stream.language,
                sample_rate=self.params.format.sample_rate,
                channels=self.params.format.channels,
                created_at=created.replace("+00:00", "Z"),
                metadata=dict(self._metadata),
            )
        )
        capabilities, stream = provider.provider.capabilities, self.params.stream
        for feature in ("diarize", "punctuate", "profanity_filter", "keyterms"):
            if getattr(stream, feature) and not getattr(capabilities, feature):
                message = f"The provider {provider.name} does not support {feature}."
                self.warn("unsupported_parameter", message)

    def _on_finalized(self, request: FinalizeRequest) -> None:
        if request.waiting:
            return
        if (timer := self._timers.pop(id(request), None)) is not None:
            timer.cancel()
        self.audio.finalizes.remove(request)
        at = round(self.params.format.seconds(request.position), 3)
        self.events.append(entries.Finalized(id=request.id, t=at))

    def _finalize_timed_out(self, request: FinalizeRequest) -> None:
        self.warn(
            "finalize_timeout", "The provider did not settle in time; more finals may follow."
        )
        request.waiting.clear()
        self._on_finalized(request)

    def _move(self, to: State) -> None:
        if to is self.state:
            return
        if self.state is State.DRAINING and to in (State.LISTENING, State.RECOVERING):
            return  # recognition may still change streams while the session drains
        check_move(self.state, to)
        log.debug("session_state", session=self.id, state=to, before=self.state)
        self.state = to
