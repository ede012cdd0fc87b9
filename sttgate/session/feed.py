"""The audio a stream hears: a cursor on the audio log, in the provider's format, at its pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sttgate.audio import Converter
from sttgate.provider import AudioInput, Control
from sttgate.session.audio_log import AudioLog, FinalizeRequest

MAX_CHUNK = 0.3  # seconds; a browser's 256 ms frame passes whole
_LIVE_LAG = 0.5  # seconds behind the end of the log that still count as live, so are not paced


class Feed(AudioInput):
    """Reads ``log`` from byte ``start``; ``channel`` None mixes all channels.

    ``max_speed`` bounds the replay of a backlog, in times real time. ``position`` is what was handed
    over, ``delivered_finalizes`` the finalize requests that the stream has seen and not confirmed.
    ``on_connected(seconds)`` is told how long the stream kept its first audio waiting: what it took
    before it asked for audio, and after the first piece before it asked for more.
    """

    def __init__(
        self,
        log: AudioLog,
        start: int,
        *,
        channel: int | None,
        sample_rate: int,
        max_speed: float | None,
        on_connected: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.start = start
        self.position = start
        self.exhausted = False
        self.abandoned = False
        self.connected = False
        self.delivered_finalizes: list[FinalizeRequest] = []
        self._log = log
        self._channel = channel
        self._converter = Converter(log.format, channel, sample_rate)
        self._limit = log.format.bytes(MAX_CHUNK)
        self._live_bytes = log.format.bytes(_LIVE_LAG)
        self._max_speed = max_speed
        self._due = 0.0
        self._on_connected = on_connected
        self._waits_since: float | None = time.monotonic()
        self._waited = 0.0

    async def receive(self) -> bytes | Control | None:
        """Return the next chunk or control, or None once the log has ended and all is read."""
        if not self.connected and self._waits_since is not None:
            self._note_asked(self._waits_since)
        log = self._log
        while not (self.exhausted or self.abandoned):
            request = self._next_finalize() if log.finalizes else None
            if request is not None and request.position <= self.position:
                # What the resampler holds back was said before the finalize.
                if rest := self._converter.flush():
                    return rest
                self.delivered_finalizes.append(request)
                return Control.FINALIZE
            # Not asked for live audio, which is most: it comes at its own pace.
            paced = log.size - self.position > self._live_bytes and self._max_speed is not None
            if paced:
                await self._pace()
            upto = self._limit
            if request is not None:
                upto = min(upto, request.position - self.position)
            pcm = log.recent(self.position, upto)
            if pcm is None:
                pcm = await log.read(self.position, upto)
            if pcm:
                if not self.connected:
                    self._waits_since = time.monotonic()
                if paced:
                    self._charge(len(pcm))
                self.position += len(pcm)
                if chunk := self._converter.convert(pcm):
                    return chunk
            elif log.ended:
                self.exhausted = True
                return self._converter.flush() or None
            else:
                await log.wait()
        return None

    def _note_asked(self, since: float) -> None:
        """Add up how long it took to ask; more than once only if it asked before there was audio."""
        self._waited += time.monotonic() - since
        self._waits_since = None
        if self.position > self.start:
            self.connected = True
            self._on_connected(self._waited)

    def _next_finalize(self) -> FinalizeRequest | None:
        for request in self._log.finalizes:
            if (self._channel or 0) in request.waiting and request not in self.delivered_finalizes:
                return request
        return None

    async def _pace(self) -> None:
        """Wait until a provider that takes ``max_speed`` times real time has had what came before."""
        if (wait := self._due - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(wait)

    def _charge(self, size: int) -> None:
        """Note that ``size`` bytes are handed over, which takes their time at ``max_speed``."""
        assert self._max_speed is not None
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now) + self._log.format.seconds(size) / self._max_speed
