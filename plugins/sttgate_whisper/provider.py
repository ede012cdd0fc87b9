"""The provider: loads the model, and has its threads recognise utterances."""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sttgate import (
    BatchProvider,
    Capabilities,
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
        self._workers = options.workers or _cores()
        super().__init__(
            endpointing_ms=options.endpointing_ms,
            max_utterance=options.max_utterance,
            interim_interval=options.interim_interval,
            concurrency=self._workers,
            max_wait=1.0,
        )
        self._options = options
        self._loaded: tuple[ThreadPoolExecutor, Whisper] | None = None
        if options.interim_interval is None:
            self.capabilities = replace(self.capabilities, interim_results=False)
        if options.model.endswith(".en"):
            self.capabilities = replace(self.capabilities, languages=("en",))

    async def open(self) -> None:
        """Load the models in a thread."""
        await super().open()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="whisper")
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(pool, _load, self._options, self._workers)
        except asyncio.CancelledError:
            pool.shutdown(wait=False)
            raise
        except Exception as error:
            pool.shutdown(wait=False)
            raise ProviderUnavailable(
                f"the Whisper model {self._options.model!r} cannot be loaded "
                f"({type(error).__name__}): give a folder with a converted model, or a name that "
                "faster-whisper knows and can fetch"
            ) from error
        self._loaded = pool, model
        if not model.is_multilingual:
            self.capabilities = replace(self.capabilities, languages=("en",))

    async def close(self) -> None:
        """Wait for what runs (about a second), then end the threads."""
        await super().close()
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded[0].shutdown(wait=True)

    async def recognize(self, pcm: bytes, params: StreamParams) -> Recognized:
        """Return what an utterance says; a call that is cancelled ends with its thread's work."""
        if self._loaded is None:
            raise ProviderUnavailable("the whisper provider is not open: call open() first")
        pool, model = self._loaded
        language = self._language(params, model)
        prompt = " ".join(
            part for part in (self._options.prompt, ", ".join(params.keyterms)) if part
        )
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(pool, model.recognize, pcm, language, prompt)
        try:
            # The thread goes on whatever happens here: its place is taken until it is through.
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait({work})
            if not work.cancelled():
                work.exception()
            raise
        except (RuntimeError, ValueError) as error:
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


def _cores() -> int:
    """Return how many CPU cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
