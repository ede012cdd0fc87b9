"""The provider: what sttgate sees of Deepgram."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sttgate import (
    AudioInput,
    Capabilities,
    Control,
    Finalized,
    NotConfigured,
    Provider,
    ProviderEvent,
    ProviderUnavailable,
    StreamParams,
)
from sttgate_deepgram.failures import NORMAL_CLOSURE, Closed, Failures
from sttgate_deepgram.options import DeepgramOptions
from sttgate_deepgram.query import live_query
from sttgate_deepgram.stream import Stream

if TYPE_CHECKING:
    from sttgate_deepgram.client import Client

MAX_REPLAY_SPEED = 1.25
"""Deepgram processes a live stream at most so many times faster than real time."""


class DeepgramProvider(Provider):
    """Deepgram's live API, one connection per stream.

    Connects when a stream's first audio is there: Deepgram hangs up on connections that stay
    without audio, and KeepAlive does not count before it.
    """

    def __init__(self, options: DeepgramOptions) -> None:
        key = options.api_key.get_secret_value()
        if not key:
            raise NotConfigured("no API key: set DEEPGRAM_API_KEY or providers.deepgram.api_key")
        self._options = options
        self._failures = Failures(urlsplit(options.base_url).netloc, key)
        self._client: Client | None = None
        self.capabilities = Capabilities(
            sample_rates=None,
            interim_results=options.interim_results,
            word_times="exact",
            word_confidence=True,
            speech_started=options.vad_events,
            diarize=True,
            keyterms=True,
            punctuate=True,
            profanity_filter=True,
            endpointing=True,
            utterance_end=True,
            models=True,
            max_replay_speed=MAX_REPLAY_SPEED,
            max_streams=options.max_streams,
        )

    async def open(self) -> None:
        """Import the SDK and make the client that all streams share."""
        # A second of imports, all in all: in a thread, for the loop may have live sessions.
        await asyncio.to_thread(import_module, "sttgate_deepgram.client")
        from sttgate_deepgram.client import Client

        self._client = await Client.make(self._options, self._failures)

    async def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def check(self) -> None:
        """Open a live connection with the configured options and end it without audio.

        That costs nothing, for Deepgram bills audio, and proves what a stream needs: the address,
        the key, its right to the model, and the options. Asking the REST API for the project's
        details would prove less, fails for keys that may only transcribe, and is missing from
        self-hosted servers.
        """
        query = live_query(self._options, StreamParams().sample_rate)
        async with self._opened().connect(query) as connection:
            try:
                await connection.send_close_stream()
                async with asyncio.timeout(self._options.connect_timeout):
                    while True:
                        await connection.recv()
            except TimeoutError:
                return  # accepted us, and is only slow to say goodbye
            except Closed as closed:
                if closed.code != NORMAL_CLOSURE:
                    raise self._failures.closed(closed) from closed

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield Deepgram's events for ``audio``; see ``Provider.transcribe``."""
        client = self._opened()
        options = self._options.for_stream(params)
        first = await audio.receive()
        while isinstance(first, Control):
            yield Finalized()  # nothing was heard, so nothing is open
            first = await audio.receive()
        if first is None:
            return
        async with client.connect(live_query(options, params.sample_rate)) as connection:
            stream = Stream(
                connection,
                first,
                audio,
                sample_rate=params.sample_rate,
                interims=options.interim_results,
                options=self._options,
                failures=self._failures,
            )
            del first  # this frame lives as long as the stream
            async with stream:
                while (events := await stream.receive()) is not None:
                    for event in events:
                        yield event  # noqa: ASYNC119 - the host iterates inside aclosing

    def _opened(self) -> Client:
        if self._client is None:
            raise ProviderUnavailable("The Deepgram provider is not open; call open() first.")
        return self._client
