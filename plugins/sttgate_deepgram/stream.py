"""One live stream: audio and controls go up, messages come down and become events."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sttgate import (
    AudioInput,
    Control,
    Finalized,
    ProviderError,
    ProviderEvent,
    SpeechStarted,
    UtteranceEnd,
)
from sttgate_deepgram.failures import Closed, Failures
from sttgate_deepgram.messages import (
    Complaint,
    GapFound,
    Malformed,
    Message,
    Metadata,
    Results,
    SpeechBegan,
    decode,
    transcript,
)
from sttgate_deepgram.options import DeepgramOptions

if TYPE_CHECKING:
    from deepgram.listen.v1.socket_client import AsyncV1SocketClient

SLACK_SECONDS = 0.1
"""How far a final may end before the audio does and still cover it."""

FAREWELL_SECONDS = 0.5
"""How long to wait for the server's Close once it has sent Metadata, its last message."""

BACKLOG_BYTES = 32_768
"""After so much audio let others run: with a backlog at hand, neither taking nor sending it waits."""

MALFORMED_IN_A_ROW = 3
_BYTES_PER_SAMPLE = 2


class Stream:
    """Runs one connection; use it as a context manager and call ``receive`` until it returns None.

    One task sends the audio; a timer sees to KeepAlive while there is none. Audio is taken only while
    ``receive`` waits, so a caller that does not call slows the stream.
    """

    def __init__(
        self,
        connection: AsyncV1SocketClient,
        first: bytes,
        audio: AudioInput,
        *,
        sample_rate: int,
        interims: bool,
        options: DeepgramOptions,
        failures: Failures,
    ) -> None:
        self._connection = connection
        self._first = first
        self._audio = audio
        self._bytes_per_second = _BYTES_PER_SAMPLE * sample_rate
        self._interims = interims
        self._options = options
        self._failures = failures
        self._loop = asyncio.get_running_loop()
        self._wanted = False  # whether somebody is in ``receive``
        self._held: asyncio.Event | None = None  # while the audio waits for that
        self._waiting: asyncio.Timeout | None = None
        self._keeper: asyncio.Task[None] | None = None  # while it sends a KeepAlive
        self._listener: asyncio.Task[Any] | None = None  # who waits for a message without a timer
        self._woken = False
        self._sent = 0
        self._sent_at = self._loop.time()
        self._settled = 0.0
        self._malformed = 0  # in a row
        self._skipped = False  # a malformed message since the last final
        self._complaint: str | None = None
        self._finalizes: list[float] = []  # when to stop waiting for each answer
        self._closing: float | None = None  # when to stop waiting for the end, once audio has ended
        self._complete = False
        self._over = False

    async def __aenter__(self) -> Self:
        self._feeder = asyncio.create_task(self._feed())
        self._feeder.add_done_callback(lambda _: self._wake())
        self._watch_silence()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._silence.cancel()
        tasks = [self._feeder, *([self._keeper] if self._keeper is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def receive(self) -> list[ProviderEvent] | None:
        """Return the next events, or None at the end; raises ProviderError.

        What the audio input itself raises comes out as it is.
        """
        self._wanted = True
        if self._held is not None:
            self._held.set()
        try:
            while not self._over:
                if events := await self._next():
                    return events
            return None
        finally:
            self._wanted = False

    async def _next(self) -> list[ProviderEvent]:
        if self._feeder.done():
            self._feeder.result()
        try:
            if (due := self._due()) is None:
                raw = await self._receive_untimed()
            else:
                async with asyncio.timeout_at(due) as self._waiting:
                    raw = await self._connection.recv()
        except TimeoutError:
            return self._overdue()
        except Closed as closed:
            return self._end(closed, self._failures.closed(closed, self._complaint))
        finally:
            self._waiting = None
        assert isinstance(raw, bytes), "deepgram-sdk has parsed what it should have passed on"
        try:
            message = decode(raw)
        except Malformed as error:
            self._skipped = True
            self._malformed += 1
            if self._malformed >= MALFORMED_IN_A_ROW:
                raise self._failures.garbled() from error
            return []
        self._malformed = 0
        return self._events(message)

    async def _receive_untimed(self) -> Any:
        """Return the next message, or raise TimeoutError when woken.

        While nothing is due, which is most of the time: a timer that never fires costs as much as
        all else there is to do for a message.
        """
        task = self._listener = asyncio.current_task(self._loop)
        assert task is not None
        cancelling = task.cancelling()
        try:
            return await self._connection.recv()
        except asyncio.CancelledError:
            if self._woken and task.uncancel() <= cancelling:
                raise TimeoutError from None
            raise
        finally:
            self._listener, self._woken = None, False

    # -- time ---------------------------------------------------------------------------------

    def _due(self) -> float | None:
        finalize = self._finalizes[0] if self._finalizes else None
        if finalize is None or self._closing is None:
            return finalize or self._closing
        return min(finalize, self._closing)

    def _wake(self) -> None:
        """Have ``receive`` look again at what is due and at the feeder."""
        if self._waiting is not None and not self._waiting.expired():
            self._waiting.reschedule(self._loop.time())
        elif self._listener is not None and not self._woken:
            self._woken = True
            self._listener.cancel()

    def _overdue(self) -> list[ProviderEvent]:
        now = self._loop.time()
        if self._closing is not None and self._closing <= now:
            seconds = self._options.close_timeout
            return self._end(None, self._failures.slow("finish after the audio had ended", seconds))
        if self._finalizes and self._finalizes[0] <= now:
            del self._finalizes[0]
            return [Finalized()]
        return []

    def _end(self, cause: Closed | None, failure: ProviderError) -> list[ProviderEvent]:
        """End the stream; with ``failure`` if words may still be missing."""
        settled = self._settled >= self._heard - SLACK_SECONDS
        if not (self._complete or (settled and self._closing is not None)):
            raise failure from cause
        if self._skipped and not settled:
            raise self._failures.garbled() from cause
        self._over = True
        return [Finalized() for _ in self._finalizes]

    # -- down ---------------------------------------------------------------------------------

    def _events(self, message: Message | None) -> list[ProviderEvent]:
        match message:
            case Results():
                return self._heard_results(message)
            case SpeechBegan():
                return [SpeechStarted(at=self._time(message.timestamp))]
            case GapFound() if message.last_word_end >= 0:
                return [UtteranceEnd(at=self._time(message.last_word_end))]
            case Complaint():
                self._complaint = message.code or message.variant
            case Metadata() if self._closing is not None:
                self._complete = True
                self._closing = self._loop.time() + FAREWELL_SECONDS
        return []

    def _heard_results(self, results: Results) -> list[ProviderEvent]:
        if self._closing is not None:
            self._closing = self._loop.time() + self._options.close_timeout
        said = transcript(results, self._settled, self._heard)
        if not said.is_final:
            return [said] if self._interims else []
        if self._skipped and results.start > self._settled + SLACK_SECONDS:
            # The message that could not be read was a final: have its audio heard again.
            raise self._failures.garbled()
        events: list[ProviderEvent] = []
        if said.end > self._settled or said.endpoint:
            events.append(said)
        self._settled = said.end
        self._skipped = False
        if results.from_finalize and self._finalizes:
            del self._finalizes[0]
            events.append(Finalized())
        return events

    @property
    def _heard(self) -> float:
        """Seconds of audio sent so far."""
        return self._sent / self._bytes_per_second

    def _time(self, seconds: float) -> float:
        return min(max(round(seconds, 3), 0.0), self._heard)

    # -- up -----------------------------------------------------------------------------------

    async def _feed(self) -> None:
        item: bytes | Control | None
        item, self._first = self._first, b""  # not kept for as long as the stream lives
        unbroken = 0
        with suppress(Closed):  # receive() finds the reason
            while item is not None:
                self._sent_at = self._loop.time()
                if isinstance(item, Control):
                    self._finalizes.append(self._sent_at + self._options.finalize_timeout)
                    self._wake()
                    await self._connection.send_finalize()
                elif item:  # Deepgram takes an empty message for the end
                    self._sent += len(item)
                    await self._connection.send_media(item)
                    unbroken += len(item)
                    if unbroken >= BACKLOG_BYTES:
                        unbroken = 0
                        await asyncio.sleep(0)
                if not self._wanted:
                    self._held = asyncio.Event()
                    await self._held.wait()
                    self._held = None
                item = await self._audio.receive()
            self._closing = self._loop.time() + self._options.close_timeout
            self._wake()
            await self._connection.send_close_stream()

    def _watch_silence(self) -> None:
        """Have a KeepAlive sent whenever nothing was sent for a while, until the audio ends."""
        if self._closing is not None:
            return
        now = self._loop.time()
        if now >= self._sent_at + self._options.keepalive_interval:
            self._sent_at = now
            if self._keeper is None or self._keeper.done():
                self._keeper = asyncio.create_task(self._keep_alive())
        due = self._sent_at + self._options.keepalive_interval
        self._silence = self._loop.call_at(due, self._watch_silence)

    async def _keep_alive(self) -> None:
        with suppress(Closed):
            await self._connection.send_keep_alive()
