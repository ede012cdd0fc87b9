"""Providers whose engine takes whole utterances: one method to write, the rest is here."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from sttgate.errors import ProviderQuota, ProviderRejected, ProviderUnavailable
from sttgate.events import ProviderEvent
from sttgate.provider import AudioInput, Capabilities, Provider, StreamParams
from sttgate.voice.model import find_voice_model, load_voice_model
from sttgate.voice.queue import WorkQueue
from sttgate.voice.recognized import Recognized
from sttgate.voice.segmenter import SAMPLE_RATE, Rules, Segmenter, samples
from sttgate.voice.stream import Habits, Stream
from sttgate.voice.threads import EngineThreads

if TYPE_CHECKING:
    from sttgate.voice.detector import VoiceModel

__all__ = ["BatchProvider", "EngineThreads", "Recognized"]

_SHORTEST_ENDPOINT_MS = 100
"""Shorter pauses lie within words."""


@dataclass(frozen=True, slots=True)
class _Running:
    """What ``open`` takes and ``close`` lets go of."""

    voice: VoiceModel
    work: WorkQueue[Recognized]


class BatchProvider(Provider):
    """A provider whose engine recognises whole utterances; write ``recognize``.

    It cuts the audio into utterances with a voice activity detector, has them recognised, finals
    before interims, and keeps the contract of ``Provider.transcribe``. Needs
    ``pip install 'sttgate[vad]'``; without it the constructor raises NotConfigured.

    ``endpointing_ms``: the pause that closes an utterance, False for none; a stream may ask for another.
    ``max_utterance``: seconds of the longest utterance; speech without a pause is cut where the voice
    is weakest.
    ``part_pauses``: pairs of seconds, longest first: speech of so many is cut at a pause of so many,
    though the utterance goes on. For an engine whose cost grows with length cut early; by default it
    is rather late, for the context. The last pair begins with 0.
    ``interim_interval``: recognise the open utterance again after so many seconds of it, and show that
    as an interim; None for no interims.
    ``eager``: begin with the final in the first pause, which makes it quicker but is for nothing when
    the speaker goes on.
    ``concurrency``: calls of ``recognize`` at once, None for any number.
    ``timeout``: seconds a call may take.
    ``max_wait``: it is ``busy``, and refuses streams, while finished utterances wait longer than so many
    seconds.

    A subclass that overrides ``open`` or ``close`` calls these as well.
    """

    capabilities = Capabilities(
        interim_results=False, word_times="estimated", speech_started=True, endpointing=True
    )

    def __init__(
        self,
        *,
        endpointing_ms: int | Literal[False] = 500,
        max_utterance: float = 20.0,
        part_pauses: Sequence[tuple[float, float]] | None = None,
        interim_interval: float | None = None,
        eager: bool = True,
        concurrency: int | None = None,
        timeout: float = 20.0,
        max_wait: float = 5.0,
    ) -> None:
        self._endpointing_ms = endpointing_ms
        self._longest = samples(max_utterance)
        # The nearer the limit, the shorter the pause that is taken for a place to cut.
        by_default = ((0.75 * max_utterance, 0.15), (0.5 * max_utterance, 0.3), (0.0, 0.8))
        self._part_pauses = tuple(
            (samples(length), samples(pause)) for length, pause in part_pauses or by_default
        )
        self._interim_every = samples(interim_interval) if interim_interval else None
        self._eager = eager
        self._concurrency = concurrency
        self._timeout = timeout
        self._max_wait = max_wait
        self._voice_file = find_voice_model()
        self._running: _Running | None = None

    @abstractmethod
    async def recognize(self, pcm: bytes, params: StreamParams) -> Recognized:
        """Return what an utterance says.

        ``pcm`` is 16 kHz mono, 16-bit, half a second to ``max_utterance``, with some silence around
        the voice. ``params`` are those of its stream. Several calls run at once, also for one stream.
        Never block the event loop: a model works in ``EngineThreads``. Raise subclasses of
        ProviderError; after one the host hears the utterance again, here or elsewhere. A call that
        is no longer wanted is cancelled.
        """

    async def open(self) -> None:
        """Load the voice activity detector in a thread, and switch off onnxruntime's telemetry."""
        voice = await asyncio.to_thread(load_voice_model, self._voice_file)
        self._running = _Running(voice, WorkQueue(self._concurrency, self._timeout))

    async def close(self) -> None:
        """Stop what is being recognised."""
        running, self._running = self._running, None
        if running is not None:
            await running.work.close()

    @property
    def busy(self) -> bool:
        """Whether finished utterances wait longer than ``max_wait``."""
        return self._running is not None and self._running.work.backlog > self._max_wait

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield what ``recognize`` makes of the utterances; see ``Provider.transcribe``.

        Raises ProviderQuota while the engine is overloaded.
        """
        running = self._running
        if running is None:
            raise ProviderUnavailable("the provider is not open: call open() first")
        if params.sample_rate != SAMPLE_RATE:
            raise ProviderRejected(
                f"the provider takes audio at {SAMPLE_RATE} Hz, not {params.sample_rate}: resample it"
            )
        if self.busy:
            raise ProviderQuota(
                f"the engine is busy, speech waits longer than {self._max_wait:g} s: give it more "
                "power, or add another provider to the chain",
                retry_after=1.0,
            )
        stream = Stream(
            running.voice.detector(),
            Segmenter(self._rules(params)),
            partial(self.recognize, params=params),
            running.work,
            Habits(
                guesses=self._eager,
                interim_every=self._interim_every if params.interim_results else None,
                longest=self._longest,
            ),
        )
        stream.start(audio)
        try:
            while (event := await stream.receive()) is not None:
                yield event
        finally:
            await stream.close()

    def _rules(self, params: StreamParams) -> Rules:
        pause = self._endpointing_ms if params.endpointing_ms is None else params.endpointing_ms
        longest = self._longest
        return Rules(
            endpoint=None if pause is False else samples(max(pause, _SHORTEST_ENDPOINT_MS) / 1000),
            part_pauses=self._part_pauses,
            longest=longest,
            cut_window=min(samples(3.0), longest // 3),
        )
