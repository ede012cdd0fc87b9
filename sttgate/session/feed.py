"""The audio a stream hears: a cursor on the audio log, in the provider's format, at its pace."""

from __future__ import annotations

import asyncio

from sttgate.audio import Converter
from sttgate.provider import AudioInput, Control
from sttgate.session.audio_log import AudioLog, FinalizeRequest

MAX_CHUNK = 0.3  # seconds; a browser's 256 ms frame passes whole
_LIVE_LAG = 0.5  # seconds behind the end of the log that still count as live, so are not paced


class Feed(AudioInput):
    """Reads ``log`` from byte ``start``; ``channel`` None mixes all channels.

    ``max_speed`` bounds the replay of a backlog, in times real time. ``position`` is what was handed
    over, ``delivered_finalizes`` the finalize requests that the stream has seen and not confirmed.
    """

    def __init__(
        self,
        log: AudioLog,
        start: int,
        *,
        channel: int | None,
        sample_rate: int,
        max_speed: float | None,
    ) -> None:
        self.start = start
        self.position = start
        self.exhausted = False
        self.abandoned = False
        self.delivered_finalizes: list[FinalizeRequest] = []
        self._log = log
        self._channel = channel
        self._converter = Converter(log.format, channel, sample_rate)
        self._max_speed = max_speed
        self._due = 0.0

    async def receive(self) -> bytes | Control | None:
        """Return the next chunk or control, or None once the log has ended and all is read."""
        limit = self._log.format.bytes(MAX_CHUNK)
        while not (self.exhausted or self.abandoned):
            request = self._next_finalize()
            if request is not None and request.position <= self.position:
                # What the resampler holds back was said before the finalize.
                if rest := self._converter.flush():
                    return rest
                self.delivered_finalizes.append(request)
                return Control.FINALIZE
            if self._max_speed is not None:
                await self._pace()
            upto = limit if request is None else min(limit, request.position - self.position)
            if pcm := await self._log.read(self.position, upto):
                self._charge(len(pcm))
                self.position += len(pcm)
                if chunk := self._converter.convert(pcm):
                    return chunk
            elif self._log.ended:
                self.exhausted = True
                return self._converter.flush() or None
            else:
                await self._log.wait()
        return None

    def _next_finalize(self) -> FinalizeRequest | None:
        for request in self._log.finalizes:
            if (self._channel or 0) in request.waiting and request not in self.delivered_finalizes:
                return request
        return None

    async def _pace(self) -> None:
        """Wait until a provider that takes ``max_speed`` times real time has had what came before."""
        now = asyncio.get_running_loop().time()
        backlog = self._log.format.seconds(self._log.size - self.position)
        if backlog <= _LIVE_LAG:
            self._due = now
            return
        if self._due > now:
            await asyncio.sleep(self._due - now)

    def _charge(self, size: int) -> None:
        """Note that ``size`` bytes are handed over, which takes their time at ``max_speed``."""
        if self._max_speed is not None:
            now = asyncio.get_running_loop().time()
            self._due = max(self._due, now) + self._log.format.seconds(size) / self._max_speed
