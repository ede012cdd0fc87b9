"""The provider: what sttgate sees of a transcription server."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sttgate import (
    BatchProvider,
    Capabilities,
    NotConfigured,
    ProviderUnavailable,
    Recognized,
    StreamParams,
)
from sttgate_openai.failures import Failures
from sttgate_openai.options import HOME, OpenAIOptions

if TYPE_CHECKING:
    from sttgate_openai.client import Client


class OpenAIProvider(BatchProvider):
    """One request for each utterance; there is no state between them."""

    def __init__(self, options: OpenAIOptions) -> None:
        key = options.api_key.get_secret_value()
        if not key and options.base_url == HOME:
            raise NotConfigured(
                "no API key: set OPENAI_API_KEY or providers.openai.api_key, "
                "or base_url for a server that needs none"
            )
        super().__init__(
            endpointing_ms=options.endpointing_ms,
            max_utterance=options.max_utterance,
            interim_interval=options.interim_interval,
            eager=False,  # a guess that does not come true would be billed as well
            concurrency=options.concurrency,
            # The request has its own, and may be repeated once for a model that refuses verbose_json.
            timeout=2 * options.timeout + 1,
        )
        self._options = options
        self._failures = Failures(urlsplit(options.base_url).netloc, key)
        self._client: Client | None = None
        self.capabilities = Capabilities(
            interim_results=options.interim_interval is not None,
            # Exact where the server tells word times; not every server and model does.
            word_times="estimated",
            speech_started=True,
            keyterms=True,
            punctuate=True,
            endpointing=True,
            models=True,
        )

    async def open(self) -> None:
        """Load the voice activity detector and make the connection pool."""
        await super().open()
        # 25 ms of disk and parsing: not on the event loop.
        tls = await asyncio.to_thread(ssl.create_default_context)
        from sttgate_openai.client import Client

        self._client = Client(self._options, self._failures, tls)

    async def close(self) -> None:
        """Stop the requests and close the pool."""
        await super().close()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def check(self) -> None:
        """Return when the server is there and takes the key."""
        await self._opened().check()

    async def recognize(self, pcm: bytes, params: StreamParams) -> Recognized:
        """Return what the server makes of an utterance."""
        return await self._opened().transcribe(pcm, self._options.for_stream(params))

    def _opened(self) -> Client:
        if self._client is None:
            raise ProviderUnavailable("the openai provider is not open: call open() first")
        return self._client
