"""The provider: loads the model, and has its threads recognise utterances."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sttgate import (
    BatchProvider,
    Capabilities,
    EngineThreads,
    NotConfigured,
    ProviderRejected,
    ProviderUnavailable,
    Recognized,
    StreamParams,
)
from sttgate_whisper.options import WhisperOptions

if TYPE_CHECKING:
    from sttgate_whisper.model import Whisper

_ANY_LANGUAGE = {"auto", "multi"}


class WhisperProvider(BatchProvider):
    """Whisper in this process: model and threads are shared by all streams."""

    capabilities = Capabilities(
        word_times="exact",
        word_confidence=True,
        speech_started=True,
        keyterms=True,
        punctuate=True,
        endpointing=True,
    )

    def __init__(self, options: WhisperOptions) -> None:
        if find_spec("ctranslate2") is None or find_spec("faster_whisper") is None:
            raise NotConfigured("Whisper is not installed: pip install 'sttgate[whisper]'")
        self._threads = EngineThreads("whisper", options.workers)
        super().__init__(
            endpointing_ms=options.endpointing_ms,
            max_utterance=options.max_utterance,
            interim_interval=options.interim_interval,
            concurrency=self._threads.number,
            max_wait=1.0,
        )
        self._options = options
        self._model: Whisper | None = None
        if options.interim_interval is None:
            self.capabilities = replace(self.capabilities, interim_results=False)
        if options.model.endswith(".en"):
            self.capabilities = replace(self.capabilities, languages=("en",))

    async def open(self) -> None:
        """Load the models in a thread."""
        await super().open()
        try:
            model = await asyncio.to_thread(_load, self._options, self._threads.number)
        except Exception as error:
            raise ProviderUnavailable(
                f"the Whisper model {self._options.model!r} cannot be loaded "
                f"({type(error).__name__}): give a folder with a converted model, or a name that "
                "faster-whisper knows and can fetch"
            ) from error
        self._model = model
        if not model.is_multilingual:
            self.capabilities = replace(self.capabilities, languages=("en",))

    async def close(self) -> None:
        """Wait for what runs (about a second), then end the threads."""
        await super().close()
        self._model = None
        await self._threads.close()

    async def recognize(self, pcm: bytes, params: StreamParams) -> Recognized:
        """Return what an utterance says; a call that is cancelled ends with its thread's work."""
        model = self._model
        if model is None:
            raise ProviderUnavailable("the whisper provider is not open: call open() first")
        language = self._language(params, model)
        prompt = " ".join(
            part for part in (self._options.prompt, ", ".join(params.keyterms)) if part
        )
        try:
            return await self._threads.run(model.recognize, pcm, language, prompt)
        except Exception as error:
            raise ProviderUnavailable(
                "Whisper failed on an utterance; if it happens again, check the memory of this machine"
            ) from error

    def _language(self, params: StreamParams, model: Whisper) -> str | None:
        """Return the code to ask for, None to have it found out."""
        tag = params.language or self._options.language
        if tag is None or tag in _ANY_LANGUAGE or not model.is_multilingual:
            return None
        code = tag.replace("_", "-").partition("-")[0].lower()
        if not model.knows(code):
            raise ProviderRejected(f"Whisper does not know the language {tag!r}: give another tag")
        return code


def _load(options: WhisperOptions, workers: int) -> Whisper:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # Here, not above: the packages take a while to import, and a thread has the time.
    from sttgate_whisper.model import Whisper

    return Whisper(options, workers)
