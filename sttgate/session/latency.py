"""How long callers wait for a provider: measured per final and per utterance, never per chunk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from sttgate.session.audio_log import AudioLog
from sttgate.session.entries import AnyEntry, Transcript
from sttgate.session.tally import LatencyKind, Tally
from sttgate.session.tracing import SessionTrace


class Stopwatch:
    """Times a session's providers, for the process's ``tally`` and for its ``trace``."""

    def __init__(self, tally: Tally, audio: AudioLog, trace: SessionTrace | None = None) -> None:
        self._latency = tally.latency
        self._audio = audio
        self._trace = trace
        self._begun: dict[int, int] = {}  # by channel: the utterance that has been heard from

    def connected(self, provider: str, seconds: float) -> None:
        """Note how long a stream kept its first audio waiting."""
        self._latency["connect", provider].observe(seconds)
        if self._trace is not None:
            self._trace.connected(provider, seconds)

    def connect_failed(self, provider: str, seconds: float, code: str) -> None:
        """Note that a stream failed before it took any audio."""
        if self._trace is not None:
            self._trace.connect_failed(provider, seconds, code)

    def said(
        self, provider: str, new: Iterable[AnyEntry], spoken_from: Callable[[], float]
    ) -> None:
        """Note how late the transcripts among entries that were just delivered are.

        A final counts from the end of its audio, the first interim of an utterance from its first
        word, which begins at session time ``spoken_from()``.
        """
        for entry in new:
            if not isinstance(entry, Transcript):
                continue
            begins = self._begun.get(entry.channel) != entry.utterance_id
            self._begun[entry.channel] = entry.utterance_id
            if entry.is_final:
                self._observe("final", provider, entry.end)
                if self._trace is not None:
                    self._trace.segment(provider, entry, self._since(entry.start))
            elif begins:
                self._observe("first_interim", provider, spoken_from())

    def _observe(self, kind: LatencyKind, provider: str, at: float) -> None:
        if (seconds := self._since(at)) is not None:
            self._latency[kind, provider].observe(seconds)

    def _since(self, at: float) -> float | None:
        """Return how long ago the audio at session time ``at`` came in, if that is known."""
        arrived = self._audio.arrived_at(at)
        return None if arrived is None else time.monotonic() - arrived
