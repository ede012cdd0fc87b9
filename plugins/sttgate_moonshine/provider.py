"""The provider: loads the model, and has its threads recognise utterances."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from sttgate import (
    BatchProvider,
    Capabilities,
    EngineThreads,
    ProviderUnavailable,
    Recognized,
    StreamParams,
)
from sttgate_moonshine.assets import Assets, find_assets
from sttgate_moonshine.options import MoonshineOptions

if TYPE_CHECKING:
    from sttgate_moonshine.model import Moonshine, Recognition

_PART_PAUSES = ((10.0, 0.1), (8.0, 0.15), (6.0, 0.2), (4.0, 0.3), (0.0, 0.8))
"""A decode costs a fixed share of its length, so long speech is settled early; the longer it is, the
better the words do without what is to come."""
_STREAMS_PER_THREAD = 24
"""Everybody speaking, finals come 0.6 s (half) to 1.4 s (95 %) after the last voice, simulated with one
thread on a core of its own; with 32 streams they come later and later."""
_STREAMS_PER_LOOP = 120
"""Looking for voices costs the event loop 0.4 % of a core for each stream."""
_PUNCTUATION = ".,!?;:\"'()-…"


class MoonshineProvider(BatchProvider):
    """Moonshine tiny-en in this process: model and threads are shared by all streams."""

    capabilities = Capabilities(
        languages=("en",),
        word_times="estimated",
        word_confidence=True,
        speech_started=True,
        punctuate=True,
        endpointing=True,
    )

    def __init__(self, options: MoonshineOptions) -> None:
        self._assets = find_assets()
        self._threads = EngineThreads("moonshine", options.workers)
        super().__init__(
            endpointing_ms=options.endpointing_ms,
            max_utterance=options.max_segment_s,
            part_pauses=_PART_PAUSES,
            interim_interval=options.interim_ms / 1000,
            concurrency=self._threads.number,
            max_wait=options.max_wait_s,
        )
        self.capabilities = replace(self.capabilities, max_streams=options.max_streams)
        self._options = options
        self._model: Moonshine | None = None

    async def open(self) -> None:
        """Load the models in a thread, and say what this machine can take."""
        if self.capabilities.max_streams is None:
            most = min(_STREAMS_PER_THREAD * self._threads.number, _STREAMS_PER_LOOP)
            self.capabilities = replace(self.capabilities, max_streams=most)
        await super().open()
        try:
            self._model = await asyncio.to_thread(_load, self._assets, self._options.threads)
        except Exception as error:
            raise ProviderUnavailable(
                "the local engine's models could not be loaded: "
                "pip install --force-reinstall 'sttgate[local]'"
            ) from error

    async def close(self) -> None:
        """Wait for the decodes that run (well under a second), then end the threads."""
        await super().close()
        self._model = None
        await self._threads.close()

    async def recognize(self, pcm: bytes, params: StreamParams) -> Recognized:
        """Return what an utterance says; empty when the model is not sure enough of it."""
        if self._model is None:
            raise ProviderUnavailable("the local engine is not open: call open() first")
        try:
            heard = await self._threads.run(self._model.recognize, pcm)
        except Exception as error:
            raise ProviderUnavailable(
                "the local engine failed on a piece of audio; if it happens again, check the memory "
                "of this machine"
            ) from error
        return self._said(heard, params)

    def _said(self, heard: Recognition, params: StreamParams) -> Recognized:
        if heard.confidence < self._options.min_confidence:
            return Recognized(text="")
        words = [(word.text, word.confidence) for word in heard.words]
        if params.punctuate is False:
            bare = ((text.strip(_PUNCTUATION).lower(), sure) for text, sure in words)
            words = [(text, sure) for text, sure in bare if text]
        return Recognized(
            text=" ".join(text for text, _ in words),
            confidences=tuple(sure for _, sure in words),
            confidence=heard.confidence,
            language="en",
        )


def _load(assets: Assets, threads: int) -> Moonshine:
    # Here, not above: numpy and onnxruntime take a while, and a thread has the time.
    from sttgate_moonshine.model import load

    return load(assets, threads)
