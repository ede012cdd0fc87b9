"""Finalize requests: each is answered once, by its recognitions or by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from sttgate.session import entries
from sttgate.session.audio_log import AudioLog, FinalizeRequest
from sttgate.session.entries import AnyEntry

FINALIZE_TIMEOUT = 5.0  # seconds; then `finalized` comes with a warning


class Finalizing:
    """Puts requests in line with the audio and says ``Finalized`` when every channel is done."""

    def __init__(self, audio: AudioLog, emit: Callable[[list[AnyEntry]], None]) -> None:
        self._audio = audio
        self._emit = emit
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def request(self, request_id: Any, channels: Iterable[int]) -> None:
        """Ask for finals for all audio so far."""
        request = FinalizeRequest(self._audio.size, request_id, set(channels))
        loop = asyncio.get_running_loop()
        self._timers[id(request)] = loop.call_later(FINALIZE_TIMEOUT, self._time_out, request)
        self._audio.finalize(request)

    def answered(self, request: FinalizeRequest) -> None:
        """Note that a channel is done with ``request``."""
        if request.waiting or (timer := self._timers.pop(id(request), None)) is None:
            return
        timer.cancel()
        self._audio.finalizes.remove(request)
        at = round(self._audio.format.seconds(request.position), 3)
        self._emit([entries.Finalized(id=request.id, t=at)])

    def cancel(self) -> None:
        """Answer no more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _time_out(self, request: FinalizeRequest) -> None:
        message = "The provider did not settle in time; more finals may follow."
        self._emit([entries.Warning(code="finalize_timeout", message=message)])
        request.waiting.clear()
        self.answered(request)
