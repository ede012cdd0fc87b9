"""One session: its states, and what happens between the first byte and the last event."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from msgspec import UNSET
from structlog.contextvars import bind_contextvars

from sttgate.errors import ErrorCode, ProviderError, ProviderProtocol
from sttgate.session import entries
from sttgate.session.audio_log import AudioLog
from sttgate.session.chain import Chain, ConfiguredProvider
from sttgate.session.entries import AnyEntry, StopReason
from sttgate.session.event_log import EventLog
from sttgate.session.finalizing import Finalizing
from sttgate.session.latency import Stopwatch
from sttgate.session.metering import Meter
from sttgate.session.params import SessionParams
from sttgate.session.recognition import Recognition
from sttgate.session.spool import Spool, SpoolFolder
from sttgate.session.states import MOVES, State, check_move
from sttgate.session.storing import Archive
from sttgate.session.tally import Tally
from sttgate.session.tracing import SessionTrace
from sttgate.session.utterances import SaidBefore
from sttgate.stores import (
    RecordingStore,
    Scalar,
    SessionEnd,
    SessionStart,
    SessionState,
    TranscriptStore,
)

log = structlog.get_logger(__name__)

DRAIN_TIMEOUT = 10.0  # seconds without progress after the audio ended
STORE_TIMEOUT = 5.0  # seconds `stopped` waits for a store that is out
READ_TIMEOUT = 30.0  # seconds a client that is behind has to fetch what was said
WATCH_TIMEOUT = 2.0  # the same for one who only watches: others wait for the session to be gone
RESUME_WINDOW = 30.0  # seconds a resumable session outlives its socket
CLIENT_MESSAGE = "The speech service is unavailable. Try again."

_OVERDUE: Mapping[StopReason, tuple[str, str]] = {
    "idle": (ErrorCode.IDLE_TIMEOUT, "Nothing was heard for too long, so the session has ended."),
    "max_duration": (
        ErrorCode.MAX_DURATION,
        "The session was as long as it may be, and has ended.",
    ),
}


@dataclass(slots=True)
class Past:
    """What the log of a session that died with its process says, to be gone on from."""

    last_seq: int = 0
    utterances: int = 0
    words: int = 0
    texts: list[str] = field(default_factory=list)
    last_utterance: int = 0
    channels: dict[int, SaidBefore] = field(default_factory=dict)


class Session:
    """A live session. Feed it with ``append``, read ``events``, end it with ``stop``."""

    def __init__(
        self,
        params: SessionParams,
        chain: Chain,
        spool: Spool,
        folder: SpoolFolder,
        transcripts: TranscriptStore,
        recordings: RecordingStore,
        tally: Tally,
        past: Past | None = None,
        trace: SessionTrace | None = None,
    ) -> None:
        self.id = params.id
        self.params = params
        self.state = State.OPENING if past is None else State.RECOVERING
        self.failed = False
        self.paused = False
        self.received_bytes = 0
        self.resume_token = secrets.token_urlsafe(32) if params.resumable else None
        self.audio = AudioLog(
            params.format,
            folder.audio,
            spool,
            lambda: self.warn("storage_failed", "The audio could not be written to disk yet."),
            lambda: log.error("audio_not_recorded", session=self.id),
        )
        before = past or Past()
        self.events = EventLog(folder.events, spool, before.last_seq, before.texts)
        self._chain = chain
        self._spool = spool
        self._folder = folder
        self._interrupted = past is not None
        self._provider: ConfiguredProvider | None = None
        self._metadata = dict(params.metadata)
        self._words = before.words
        self._utterances = before.utterances
        self._tally = tally
        self._meter = Meter()
        self._trace = trace
        self._began_at = time.monotonic()
        self._audio_told = self.audio.seconds  # another process counted what it had received
        self._switches = 0
        self._discard = False
        self._cancelled = False
        self._reason: StopReason = "client"
        self.ending = False
        """``ending``: whether no more audio is taken."""
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._release = asyncio.Event() if params.resumable else None
        self._detached: asyncio.TimerHandle | None = None
        self._abandoned = False
        self._over = False
        self._started = past is not None
        self._on_taken_over: Callable[[], None] | None = None
        self._finalizing = Finalizing(self.audio, self._emit)
        self._archive = Archive(
            self._start,
            self.audio,
            self.events,
            folder,
            transcripts if params.store_transcript else None,
            recordings if params.store_audio else None,
            self._on_outage,
            tally,
        )
        stopwatch = Stopwatch(tally, self.audio, trace)
        numbers = itertools.count(before.last_utterance + 1)
        self._recognitions = [
            Recognition(
                self.audio,
                chain,
                params.stream,
                channel=channel,
                numbers=numbers,
                words_wanted=lambda: self.events.words_wanted,
                emit=self._emit,
                on_open=self._on_open,
                on_ready=self._on_ready,
                on_switch=self._on_switch,
                on_exhausted=self._on_exhausted,
                tally=tally,
                meter=self._meter,
                stopwatch=stopwatch,
                on_finalized=self._finalizing.answered,
            )
            for channel in (range(params.format.channels) if params.multichannel else [None])
        ]
        for recognition in self._recognitions:
            recognition.restore(before.channels.get(recognition.channel, SaidBefore()))

    @property
    def chain(self) -> Chain:
        """The providers it may use, now or later."""
        return self._chain

    @property
    def provider(self) -> str | None:
        """The name of the provider that hears it, or heard it last; None before there was one."""
        return self._provider.name if self._provider else None

    @property
    def backlog_s(self) -> float:
        """Seconds of audio that are not final yet."""
        gaps = [gap for r in self._recognitions if (gap := r.unsettled) is not None]
        return max((gap.end - gap.start for gap in gaps), default=0.0)

    @property
    def audio_untold_s(self) -> float:
        """Seconds of audio received that the tally does not have yet."""
        return self.audio.seconds - self._audio_told

    @property
    def store_outage_s(self) -> float:
        """How long a store has been refusing what this session has for it."""
        return self._archive.outage_s

    # --- what a caller does -------------------------------------------------------------------

    def append(self, pcm: bytes) -> None:
        """Take audio in the session's format; dropped while paused and after ``stop``."""
        if self.ending:
            return  # nor is it acknowledged: it is in no recording
        self.received_bytes += len(pcm)
        if self.paused:
            return
        self.audio.append(pcm)
        if not self._archive.begun and self.audio.size > 0:
            self._archive.begin()

    def finalize(self, request_id: Any) -> None:
        """Ask for finals for all audio so far; ``Finalized`` with the same id will follow."""
        if not self.ending:
            self._finalizing.request(request_id, [r.channel for r in self._recognitions])

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

    @property
    def metadata(self) -> Mapping[str, Scalar]:
        """What is stored with the session, as it stands."""
        return self._metadata

    def add_metadata(self, metadata: Mapping[str, Scalar]) -> None:
        """Merge ``metadata`` into what is stored with the session."""
        self._metadata.update(metadata)

    def change_metadata(self, changes: Mapping[str, Scalar]) -> None:
        """Merge ``changes`` into it as RFC 7396 does: a None removes the entry."""
        merged = {**self._metadata, **changes}
        self._metadata = {
            key: value for key, value in merged.items() if key not in changes or value is not None
        }

    def warn(self, code: str, message: str) -> None:
        """Tell the client something that is not fatal."""
        self.events.append(entries.Warning(code=code, message=message))

    def stop(self, reason: StopReason = "client", *, discard: bool = False) -> None:
        """End the audio; the last finals, then ``Stopped`` follow. Later calls change nothing."""
        if not self.ending:
            self._reason = reason
            self._discard = discard
            self.ending = True
            if not self._stop.done():
                self._stop.set_result(None)
            self.audio.end()

    def cancel(self) -> None:
        """End the session now and keep nothing of it, whatever is still to be heard."""
        self.stop("client", discard=True)
        self._discard = self._cancelled = True

    def end_overdue(self, reason: StopReason) -> None:
        """End the audio because a limit says so, and tell the client which."""
        if not self.ending:
            code, message = _OVERDUE[reason]
            self.events.append(
                entries.Error(message=message, code=code, retryable=True, session_id=self.id)
            )
            self.stop(reason)

    def attach(self, on_taken_over: Callable[[], None]) -> None:
        """Claim the session for a connection; the one before, if still there, is told."""
        if self._detached is not None:
            self._detached.cancel()
            self._detached = None
        if self._on_taken_over is not None:
            self._on_taken_over()
        self._on_taken_over = on_taken_over

    def detach(self) -> None:
        """Say that the connection is gone: a resumable session waits for another, others stop."""
        self._on_taken_over = None
        if self._over:
            return
        if not self.params.resumable:
            self.stop("client")
        elif self._detached is None:
            loop = asyncio.get_running_loop()
            self._detached = loop.call_later(RESUME_WINDOW, self._abandon)

    @property
    def cut_short(self) -> bool:
        """Whether the session is left to the next start, so that ``Stopped`` will not come."""
        return self._over and self.state in MOVES

    def release(self) -> None:
        """Say that nobody will resume the session any more."""
        if self._release is not None:
            self._release.set()

    # --- the life of the session ----------------------------------------------------------------

    async def run(self) -> None:
        """Live until everything is settled, said and stored; runs as a task of the gateway."""
        bind_contextvars(session=self.id)  # in every line its tasks log, plugins' lines too
        try:
            complete = await self._recognise()
            self._finalizing.cancel()
            self._move(State.DRAINING)
            await self._close(complete)
            if self.params.resumable and not self._interrupted:
                await self._linger()
            await self._archive.settled()
            await self._wait_for_readers()
            await self._spool.remove(self._folder)
        finally:
            self._over = True
            self._tell_audio()
            self._finalizing.cancel()
            self.events.end()
            if self._detached is not None:
                self._detached.cancel()
            await self._archive.cancel()
            await self._spool.run(self._folder.close)

    async def _recognise(self) -> bool:
        """Return once the audio has ended and is settled, or never will be; whether it all is."""
        stopping = self._stop
        running: set[asyncio.Future[Any]] = {
            asyncio.create_task(recognition.run(), name=f"recognise {self.id}")
            for recognition in self._recognitions
        }
        try:
            while running and not stopping.done():
                waiting = running | {stopping}
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                running -= done
                self._note_crashes(done - {stopping})
            await stopping
            progress, deadline = self._progress(), time.monotonic() + DRAIN_TIMEOUT
            while running:
                done, running = await asyncio.wait(running, timeout=0.5)
                self._note_crashes(done)
                if (now := self._progress()) != progress:
                    progress, deadline = now, time.monotonic() + DRAIN_TIMEOUT
                if self._cancelled:
                    break
                if running and time.monotonic() > deadline:
                    log.warning("drain_timed_out", session=self.id)
                    break
            return not any(recognition.unsettled for recognition in self._recognitions)
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)

    def _progress(self) -> list[tuple[int, int]]:
        return [recognition.progress for recognition in self._recognitions]

    def _note_crashes(self, done: Iterable[asyncio.Future[Any]]) -> None:
        for task in done:
            error = task.exception()
            if error is not None and not isinstance(error, ProviderError):
                log.error("recognition_crashed", session=self.id, exc_info=error)
                self._on_exhausted(ProviderProtocol("recognition failed"))

    async def _close(self, complete: bool) -> None:
        """Store the outcome and say ``Stopped``."""
        heard = self.audio.size > 0
        if self.audio.misaligned:
            self.warn("audio_misaligned", "The audio ended inside a sample; that piece is dropped.")
        for recognition in self._recognitions:
            recognition.give_up()
            if (gap := recognition.unsettled) is not None:
                self.events.append(gap)
        if self._discard:
            await self._archive.discard(STORE_TIMEOUT)
        elif heard:
            self._archive.begin()
            await self._archive.finish(self._end(complete), STORE_TIMEOUT)
        stored, recorded = self._archive.transcript_stored, self._archive.audio_stored
        self._move(State.DISCARDED if self._discard else State(self._outcome(complete)))
        self._count()
        self.events.append(
            entries.Stopped(
                session_id=self.id,
                full_transcription=self.events.full_text,
                reason=self._reason,
                duration_s=round(self.audio.seconds, 3),
                utterances=self._utterances,
                words=self._words,
                provider=self.provider,
                model=self.params.stream.model,
                stored=entries.Stored(transcript=stored, audio=recorded),
                links=entries.Links(
                    session=f"/api/v1/sessions/{self.id}" if stored else None,
                    audio=f"/api/v1/sessions/{self.id}/audio" if recorded else None,
                ),
                usage=entries.Usage(audio_s=round(self.audio.seconds, 3)),
            )
        )

    def _count(self) -> None:
        name = self.provider
        seconds = time.monotonic() - self._began_at
        self._tally.sessions[name or "none", self.params.protocol, self.state] += 1
        self._tally.durations[name or "none"].observe(seconds)
        self._tell_audio()
        self._tally.unrecorded_s += self.params.format.seconds(self.audio.lost)
        if self._trace is not None:
            self._trace.ended(self.state, self._reason, name)
        log.info(
            "session_ended",
            session=self.id,
            outcome=self.state.value,
            reason=self._reason,
            seconds=round(seconds, 3),
            audio_s=round(self.audio.seconds, 3),
            provider=name,
            switches=self._switches,
            protocol=self.params.protocol,
        )

    def _tell_audio(self) -> None:
        self._tally.audio_s += self.audio_untold_s
        self._audio_told = self.audio.seconds

    def _outcome(self, complete: bool) -> SessionState:
        if self._interrupted:
            return "interrupted"
        if complete:
            return "incomplete" if self._abandoned else "completed"
        return "incomplete" if self._words else "failed"

    async def _wait_for_readers(self) -> None:
        """Leave the events on disk until those who are behind have read them from there."""
        for watching, patience in ((False, READ_TIMEOUT), (True, WATCH_TIMEOUT)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self.events.read_by_all(watching=watching)

    async def _linger(self) -> None:
        """Leave the events where a client that lost its socket too early can still fetch them."""
        assert self._release is not None
        try:
            async with asyncio.timeout(RESUME_WINDOW):
                await self._release.wait()
        except TimeoutError:
            return

    def _start(self) -> SessionStart:
        params = self.params
        return SessionStart(
            id=self.id,
            created_at=params.created_at,
            protocol=params.protocol,
            sample_rate=params.format.sample_rate,
            channels=params.format.channels,
            provider=self.provider,
            model=params.stream.model,
            language=params.stream.language,
            title=params.title,
            client_ref=params.client_ref,
            owner=params.owner,
            metadata=dict(self._metadata),
        )

    def _end(self, complete: bool) -> SessionEnd:
        return SessionEnd(
            state=self._outcome(complete),
            ended_at=time.time(),
            duration=self.audio.seconds,
            reason=self._reason,
            recording=False,
            provider=self.provider,
            model=self.params.stream.model,
            language=self.params.stream.language,
            metadata=self._metadata,
            usage={
                "audio_s": round(self.audio.seconds, 3),
                "unrecorded_s": round(self.params.format.seconds(self.audio.lost), 3),
                **self._meter.counters(),
            },
        )

    # --- what recognition reports ---------------------------------------------------------------

    def _emit(self, new: list[AnyEntry]) -> None:
        for entry in new:
            if isinstance(entry, entries.Transcript) and entry.is_final:
                self._words += len(entry.text.split())
                self._tally.segments += 1
                # In line before the final, so that no final outlives the audio it came from.
                self.audio.write_soon()
            elif isinstance(entry, entries.UtteranceEnd):
                self._utterances += 1
            self.events.append(entry)

    def _on_open(self, provider: ConfiguredProvider) -> None:
        self._provider = provider
        if not self._started:
            self._started = True
            self._move(State.LISTENING)
            self._say_started(provider)

    def _on_ready(self, provider: ConfiguredProvider) -> None:
        self.failed = False
        if self.state is State.RECOVERING:
            self._move(State.LISTENING)
            self.events.append(entries.Provider(state="ready", provider=provider.name))

    def _on_switch(self, failed: ConfiguredProvider, to: ConfiguredProvider) -> None:
        self._tally.switches += 1
        self._switches += 1
        state: entries.ProviderState = "reconnecting" if to is failed else "failed_over"
        self.events.append(entries.Provider(state=state, provider=to.name))
        self._move(State.RECOVERING)

    def _on_exhausted(self, error: ProviderError) -> None:
        """Tell the client, once, that no provider is left; the audio is still recorded."""
        if self.failed:
            return
        self.failed = True
        self.events.append(
            entries.Error(
                message=CLIENT_MESSAGE,
                code=error.code,
                retryable=True,
                provider=self._chain[-1].name,
                provider_code=error.provider_code or UNSET,
                session_id=self.id,
            )
        )
        self._move(State.RECOVERING)

    def _on_outage(self, message: str) -> None:
        if self.state in MOVES:  # nothing follows ``Stopped``
            self.warn("storage_failed", message)

    def _say_started(self, provider: ConfiguredProvider) -> None:
        created = datetime.fromtimestamp(self.params.created_at, UTC)
        self.events.append(
            entries.Started(
                session_id=self.id,
                provider=provider.name,
                model=self.params.stream.model,
                language=self.params.stream.language,
                sample_rate=self.params.format.sample_rate,
                channels=self.params.format.channels,
                created_at=created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                metadata=dict(self._metadata),
                resume_token=self.resume_token or UNSET,
                resume_window_s=RESUME_WINDOW if self.resume_token else UNSET,
            )
        )
        capabilities, stream = provider.provider.capabilities, self.params.stream
        for feature in ("diarize", "punctuate", "profanity_filter", "keyterms"):
            if getattr(stream, feature) and not getattr(capabilities, feature):
                message = f"The provider {provider.name} does not support {feature}."
                self.warn("unsupported_parameter", message)

    def _abandon(self) -> None:
        self._abandoned = True
        self.stop("client")
        self.release()

    def _move(self, to: State) -> None:
        if to is self.state:
            return
        if self.state is State.DRAINING and to in (State.LISTENING, State.RECOVERING):
            return  # recognition may still change streams while the session drains
        check_move(self.state, to)
        log.debug("session_state", session=self.id, state=to, before=self.state)
        self.state = to
