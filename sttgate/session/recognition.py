"""Recognition: streams on providers, one after another, until all audio of a channel is settled."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import structlog

from sttgate import events
from sttgate.audio import AudioFormat
from sttgate.errors import ProviderError, ProviderProtocol, ProviderTimeout, ProviderUnavailable
from sttgate.provider import Capabilities, StreamParams
from sttgate.session.audio_log import AudioLog, FinalizeRequest
from sttgate.session.chain import Chain, ConfiguredProvider, next_provider
from sttgate.session.entries import AnyEntry, Gap
from sttgate.session.feed import Feed
from sttgate.session.latency import Stopwatch
from sttgate.session.metering import Meter
from sttgate.session.tally import Tally
from sttgate.session.utterances import SaidBefore, UtteranceBuilder

log = structlog.get_logger(__name__)

STALL_TIMEOUT = 10.0  # seconds without a sign of life from a provider that owes one
FAREWELL_TIMEOUT = 5.0  # the same once the audio has ended: a caller waits, and others may be tried
SETTLE_TIMEOUT = 90.0  # seconds of interims without a final: the tail to replay must be bounded
FINALIZE_TOLERANCE = 0.05  # seconds a final may end before the finalize it answers
_WATCH_INTERVAL = 1.0
_CANCEL_TIMEOUT = 2.0
_TRIES_PER_PROVIDER = 3  # without the settled cursor moving
_PATIENCE = 12.0  # seconds the last provider is tried at least: there is nobody else to go to
_FIRST_RETRY = 0.1  # seconds, then full jitter up to 0.25 s doubled each time, at most _MAX_RETRY
_MAX_RETRY = 5.0
REVIVE_INTERVAL = 15.0  # seconds between two attempts when every provider has failed


class Recognition:
    """Hears one channel of ``audio`` (None: all mixed) and hands what it makes of it to ``emit``.

    ``words_wanted`` tells whether interims are to have words.
    ``on_open(provider)`` is called when a stream begins, ``on_ready(provider)`` when it has said
    something, ``on_switch(failed, next)`` when another follows, the same provider's or the next one's,
    ``on_exhausted(error)`` when no provider is left to try.
    """

    def __init__(
        self,
        audio: AudioLog,
        chain: Chain,
        params: StreamParams,
        *,
        channel: int | None,
        numbers: Iterator[int],
        tally: Tally,
        meter: Meter,
        stopwatch: Stopwatch,
        words_wanted: Callable[[], bool],
        emit: Callable[[list[AnyEntry]], None],
        on_open: Callable[[ConfiguredProvider], None],
        on_ready: Callable[[ConfiguredProvider], None],
        on_switch: Callable[[ConfiguredProvider, ConfiguredProvider], None],
        on_exhausted: Callable[[ProviderError], None],
        on_finalized: Callable[[FinalizeRequest], None],
    ) -> None:
        self.channel = channel or 0
        self._audio = audio
        self._chain = chain
        self._params = params
        self._selected = channel
        self._builder = UtteranceBuilder(self.channel, numbers)
        self._words_wanted = words_wanted
        self._emit = emit
        self._tally = tally
        self._meter = meter
        self._stopwatch = stopwatch
        self._on_open = on_open
        self._on_ready = on_ready
        self._on_switch = on_switch
        self._on_exhausted = on_exhausted
        self._on_finalized = on_finalized
        self._feed: Feed | None = None
        self._heard_events = 0
        self._silent = True
        self._last_event_at = 0.0
        self._position_at_event = 0

    @property
    def settled(self) -> int:
        """Bytes of the audio log whose words are final."""
        return min(self._audio.format.bytes(self._builder.settled), self._audio.size)

    def restore(self, said: SaidBefore) -> None:
        """Go on where a session that died left off."""
        self._builder.restore(said)

    @property
    def unsettled(self) -> Gap | None:
        """The audio that is not final yet, in seconds, if there is any."""
        if self.settled >= self._audio.size:
            return None
        start = round(self._builder.settled, 3)
        return Gap(start=start, end=round(self._audio.seconds, 3), channel=self.channel)

    @property
    def _all_settled(self) -> bool:
        """Whether the words of all audio there will ever be are final."""
        return self._audio.ended and self.settled >= self._audio.size

    def give_up(self) -> None:
        """Close the open utterance: no more words will come."""
        self._emit(self._builder.close("stop"))

    @property
    def progress(self) -> tuple[int, int]:
        """A value that changes whenever the provider reads or says something."""
        return self._heard_events, self._feed.position if self._feed else 0

    async def run(self) -> None:
        """Return once all audio is settled; raise the last ProviderError when nobody settles it.

        When every provider has failed, ``on_exhausted`` is told, and while audio still comes the
        chain is tried again now and then, and once more when it has ended: a long session outlives a
        long outage.
        """
        while True:
            try:
                await self._try_chain()
                return
            except ProviderError as error:
                self.give_up()
                self._on_exhausted(error)
                if self._audio.ended:
                    raise
            await self._audio.ended_within(REVIVE_INTERVAL)

    async def _try_chain(self) -> None:
        """Return once all audio is settled; raise the last error when every provider failed."""
        candidates = list(self._chain)
        provider = next_provider(candidates)
        while True:
            try:
                with provider.seat():
                    await self._try_provider(provider, others=bool(candidates))
                return
            except ProviderError:
                if not candidates:
                    raise
                failed, provider = provider, next_provider(candidates)
                self._on_switch(failed, provider)

    async def _try_provider(self, provider: ConfiguredProvider, *, others: bool) -> None:
        """Return once all audio is settled; raise when the provider has used up its tries.

        With ``others`` to ask, one stream that timed out without a word is enough.
        """
        tries, settled = 0, self.settled
        loop = asyncio.get_running_loop()
        progress_at = loop.time()
        while True:
            try:
                await self._stream(provider)
                return
            except ProviderError as error:
                provider.breaker.failed(error)
                self._tally.provider_errors[provider.name, error.code] += 1
                tries = 1 if self.settled > settled else tries + 1
                if tries == 1:
                    settled, progress_at = self.settled, loop.time()
                since = loop.time() - progress_at
                patient = not (others or self._audio.ended) and since < _PATIENCE
                log.warning(
                    "stream_failed",
                    provider=provider.name,
                    error=str(error),
                    code=error.code,
                    provider_code=error.provider_code,
                    tries=tries,
                )
                if not error.retryable or (tries >= _TRIES_PER_PROVIDER and not patient):
                    raise
                if others and self._silent and isinstance(error, ProviderTimeout):
                    raise
                self._on_switch(provider, provider)
                await asyncio.sleep(_retry_delay(tries, error))

    async def _stream(self, configured: ConfiguredProvider) -> None:
        """Hear everything that is not settled with one stream of one provider."""
        provider = await configured.ready()
        start = self.settled
        replayed = self._audio.format.seconds(self._feed.position - start) if self._feed else 0.0
        self._tally.replayed_s += replayed
        rate = stream_rate(provider.capabilities, self._audio.format)
        feed = self._feed = Feed(
            self._audio,
            start,
            channel=self._selected,
            sample_rate=rate,
            max_speed=provider.capabilities.max_replay_speed,
            on_connected=partial(self._stopwatch.connected, configured.name),
        )
        self._builder.begin_stream(self._audio.format.seconds(start))
        self._note_event(feed)
        self._silent = True
        opened_at = time.monotonic()
        self._on_open(configured)
        hearing = asyncio.create_task(
            self._hear(configured, feed, replace(self._params, sample_rate=rate)),
            name=f"stream {configured.name}",
        )
        try:
            await self._watch(hearing, feed)
        except ProviderError as error:
            if not feed.connected:
                took = time.monotonic() - opened_at
                self._stopwatch.connect_failed(configured.name, took, error.code)
            raise
        finally:
            feed.abandoned = True
            self._meter.add_stream(
                configured.name,
                sent_s=self._audio.format.seconds(feed.position - start),
                replayed_s=replayed,
                open_s=time.monotonic() - opened_at,
            )
            if not hearing.done():
                hearing.cancel()
                await asyncio.wait({hearing}, timeout=_CANCEL_TIMEOUT)
                if not hearing.done():
                    log.error("stream_ignores_cancellation", provider=configured.name)
        if not (feed.exhausted or self._all_settled):
            raise ProviderUnavailable(f"provider {configured.name!r} ended before the audio did")
        configured.breaker.succeeded()
        self._settle(self._audio.size)
        self._emit(self._builder.close("stop"))
        self._answer_finalizes(feed, self._audio.seconds)

    async def _hear(self, configured: ConfiguredProvider, feed: Feed, params: StreamParams) -> None:
        try:
            async with aclosing(configured.provider.transcribe(feed, params)) as stream:
                async for event in stream:
                    if feed.abandoned:
                        return  # it ignores its cancellation; another stream has taken over
                    if self._silent:
                        self._silent = False
                        self._on_ready(configured)
                    self._note_event(feed)
                    self._handle(event, feed, configured)
        except ProviderError:
            raise
        except Exception as error:
            # The contract allows only ProviderError; a plugin's mistake must not end the session.
            # Where, but not the message, which may quote what was said.
            log.error(
                "provider_raised",
                provider=configured.name,
                error=type(error).__name__,
                trace="".join(traceback.format_tb(error.__traceback__)),
            )
            raise ProviderProtocol(
                f"the provider raised {type(error).__name__} instead of a ProviderError"
            ) from error

    async def _watch(self, hearing: asyncio.Task[None], feed: Feed) -> None:
        """Return when ``hearing`` is over; ProviderTimeout when the provider stalls.

        It stalls when it owes something (it has not read all audio, or no more will come) and for
        STALL_TIMEOUT neither read nor spoke, or heard that much audio without a word, or for
        SETTLE_TIMEOUT settled nothing of as much audio, or of its end. While the caller pauses it
        owes nothing. A provider that has settled all audio there will ever be is not waited for.
        """
        stall_bytes = self._audio.format.bytes(STALL_TIMEOUT)
        settle_bytes = self._audio.format.bytes(SETTLE_TIMEOUT)
        position, moved_at = feed.position, time.monotonic()
        settled, settled_at = self.settled, moved_at
        resumed_at = free_at = ended_at = moved_at
        while not hearing.done():
            await asyncio.wait({hearing}, timeout=_WATCH_INTERVAL)
            now = time.monotonic()
            owes = feed.position < self._audio.size or self._audio.ended
            if not self._audio.ended:
                ended_at = now
            if not owes:
                free_at = now
            if feed.position != position:
                if now - moved_at > STALL_TIMEOUT:
                    resumed_at = now  # the caller had paused, which is no silence of the provider's
                position, moved_at = feed.position, now
            if self.settled != settled or feed.position == settled:
                settled, settled_at = self.settled, now
            silent_for = now - max(self._last_event_at, resumed_at)
            unheard = feed.position - self._position_at_event
            idle_for = min(silent_for, now - max(moved_at, free_at))
            still = idle_for > STALL_TIMEOUT or min(idle_for, now - ended_at) > FAREWELL_TIMEOUT
            mute = silent_for > STALL_TIMEOUT and unheard >= stall_bytes
            vague = now - settled_at > SETTLE_TIMEOUT and (
                feed.position - self.settled >= settle_bytes
                or (feed.exhausted and now - ended_at > SETTLE_TIMEOUT)
            )
            if self._all_settled and silent_for > _WATCH_INTERVAL:
                return
            if not hearing.done() and ((owes and still) or mute or vague):
                raise ProviderTimeout(f"nothing came back for {silent_for:.0f} s")
        if hearing.cancelled():
            # Not by us: so ends a stream in a library whose cancellations get out of their scope.
            raise ProviderProtocol("the provider's stream was cancelled from inside")
        await hearing

    def _handle(
        self, event: events.ProviderEvent, feed: Feed, provider: ConfiguredProvider
    ) -> None:
        if isinstance(event, events.Transcript):
            if event.is_final or self._params.interim_results:
                heard = self._audio.format.seconds(feed.position)
                asked = feed.delivered_finalizes
                said = self._builder.transcript(
                    event,
                    heard,
                    finalizing=bool(asked) and any(self._owes(request) for request in asked),
                    interim_words=self._words_wanted(),
                )
                if said:
                    self._emit(said)
                    spoken_from = partial(self._builder.spoken_from, event)
                    self._stopwatch.said(provider.name, said, spoken_from)
            if event.is_final:
                self._settle(self.settled)
                provider.breaker.succeeded()
                self._answer_finalizes(feed, self._builder.settled + FINALIZE_TOLERANCE)
        elif isinstance(event, events.SpeechStarted):
            self._emit(self._builder.speech_started(event))
        elif isinstance(event, events.UtteranceEnd):
            self._emit(self._builder.utterance_end(event))
        elif not isinstance(event, events.Finalized):
            raise ProviderProtocol("the provider said something that is no event")
        elif feed.delivered_finalizes:
            # In the order they were asked: a final may have answered the client long before.
            request = feed.delivered_finalizes.pop(0)
            self._settle(request.position)
            self._emit(self._builder.close("finalize"))
            self._answer(request)

    def _settle(self, position: int) -> None:
        self._builder.settle(self._audio.format.seconds(position))
        self._audio.settle(position)

    def _answer_finalizes(self, feed: Feed, upto: float) -> None:
        for request in feed.delivered_finalizes:
            if self._owes(request) and self._audio.format.seconds(request.position) <= upto:
                self._answer(request)

    def _answer(self, request: FinalizeRequest) -> None:
        request.waiting.discard(self.channel)
        self._on_finalized(request)

    def _owes(self, request: FinalizeRequest) -> bool:
        return self.channel in request.waiting

    def _note_event(self, feed: Feed) -> None:
        self._heard_events += 1
        self._last_event_at = time.monotonic()
        self._position_at_event = feed.position


def stream_rate(capabilities: Capabilities, audio_format: AudioFormat) -> int:
    """Return the rate to send: the session's if the provider takes it, else the next one up."""
    rates = capabilities.sample_rates
    if rates is None or audio_format.sample_rate in rates:
        return audio_format.sample_rate
    return min((r for r in rates if r > audio_format.sample_rate), default=max(rates))


def _retry_delay(tries: int, error: ProviderError) -> float:
    if error.retry_after is not None:
        return min(error.retry_after, _MAX_RETRY)
    if tries <= 1:
        return _FIRST_RETRY
    return random.uniform(0, min(_MAX_RETRY, 0.25 * 2**tries))
