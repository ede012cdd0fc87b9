"""The provider: opens the models, and gives each stream its own state on top of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sttgate import (
    AudioInput,
    Capabilities,
    Provider,
    ProviderEvent,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    StreamParams,
)
from sttgate_moonshine.assets import Assets, find_assets
from sttgate_moonshine.decoder import Decoder
from sttgate_moonshine.options import MoonshineOptions
from sttgate_moonshine.segmenter import SAMPLE_RATE, Rules, Segmenter, samples
from sttgate_moonshine.stream import Stream
from sttgate_moonshine.transcript import Writer

if TYPE_CHECKING:
    from sttgate_moonshine.engine import Models
    from sttgate_moonshine.model import Recognition

_SHORTEST_ENDPOINT_MS = 100
"""Shorter pauses lie within words."""


@dataclass(frozen=True, slots=True)
class _Running:
    """What ``open`` takes and ``close`` lets go of."""

    pool: ThreadPoolExecutor
    models: Models
    decoder: Decoder[Recognition]


class MoonshineProvider(Provider):
    """Moonshine tiny-en in this process: models and threads are shared, everything else is per stream."""

    capabilities = Capabilities(
        sample_rates=(SAMPLE_RATE,),
        languages=("en",),
        word_times="estimated",
        word_confidence=True,
        speech_started=True,
        punctuate=True,
        endpointing=True,
    )

    def __init__(self, options: MoonshineOptions) -> None:
        self._options = options
        self._assets = find_assets()
        self._running: _Running | None = None

    async def open(self) -> None:
        """Load the models in a thread."""
        workers = self._options.workers or _cores()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="moonshine")
        loop = asyncio.get_running_loop()
        try:
            models = await loop.run_in_executor(pool, _load, self._assets, self._options.threads)
        except asyncio.CancelledError:
            pool.shutdown(wait=False)
            raise
        except Exception as error:
            pool.shutdown(wait=False)
            raise ProviderUnavailable(
                "the local engine's models could not be loaded: "
                "pip install --force-reinstall 'sttgate[local]'"
            ) from error
        decoder = Decoder(models.recognizer.recognize, pool, workers)
        self._running = _Running(pool, models, decoder)

    async def close(self) -> None:
        """Wait for the decodes that run (well under a second), then end the threads."""
        running, self._running = self._running, None
        if running is not None:
            await running.decoder.close()
            running.pool.shutdown(wait=True)

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Recognise English; see ``Provider.transcribe``. Raises ProviderQuota while overloaded."""
        if self._running is None:
            raise ProviderUnavailable("the local engine is not open: call open() first")
        if params.sample_rate != SAMPLE_RATE:
            raise ProviderRejected(
                f"the local engine takes audio at {SAMPLE_RATE} Hz, not {params.sample_rate}: resample it"
            )
        decoder = self._running.decoder
        if decoder.backlog > self._options.max_wait_s:
            raise ProviderQuota(
                f"the local engine is busy, speech waits longer than {self._options.max_wait_s:g} s: "
                "add CPU cores, or another provider to the chain",
                retry_after=1.0,
            )
        stream = Stream(
            self._running.models.detector(),
            Segmenter(self._rules(params)),
            decoder,
            Writer(self._options.min_confidence, params.punctuate is not False),
            samples(self._options.interim_ms / 1000) if params.interim_results else None,
        )
        stream.start(audio)
        try:
            while (event := await stream.receive()) is not None:
                yield event
        finally:
            await stream.close()

    def _rules(self, params: StreamParams) -> Rules:
        pause = params.endpointing_ms
        if pause is None:
            pause = self._options.endpointing_ms
        if pause is not False:
            pause = max(pause, _SHORTEST_ENDPOINT_MS)
        return Rules(
            endpoint=None if pause is False else samples(pause / 1000),
            longest=samples(self._options.max_segment_s),
        )


def _load(assets: Assets, threads: int) -> Models:
    # onnxruntime 1.29 and later collect and send telemetry unless told not to before the import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    # Here, not above: numpy and onnxruntime take a while, and a thread has the time.
    from sttgate_moonshine.engine import load

    return load(assets, threads)


def _cores() -> int:
    """Return how many CPU cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
