"""The HTTP side: one connection pool, one request for each utterance."""

from __future__ import annotations

import io
import os
import ssl
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from sttgate import Recognized
from sttgate_openai.answer import read_answer
from sttgate_openai.failures import Failures, Refusal, read_refusal
from sttgate_openai.options import OpenAIOptions, RequestOptions

SAMPLE_RATE = 16_000
_SAMPLE_BYTES = 2
_ANSWER_MAX_BYTES = 4 << 20
_REFUSAL_MAX_BYTES = 16_384
_MOST_REMEMBERED = 64
_NO_LIST_OF_MODELS = {404, 405, 501}


class Client:
    """Asks one server; belongs to the event loop it was made in."""

    def __init__(self, options: OpenAIOptions, failures: Failures, tls: ssl.SSLContext) -> None:
        self._url = options.base_url
        self._failures = failures
        self._timeout = options.timeout
        self._plain: set[str] = set()  # models known to refuse verbose_json
        key = options.api_key.get_secret_value()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Authorization": f"Bearer {key}"} if key else None,
            timeout=aiohttp.ClientTimeout(
                total=options.timeout, sock_connect=options.connect_timeout
            ),
        )

    async def close(self) -> None:
        """Close the pool; requests under way break."""
        await self._session.close()

    async def transcribe(self, pcm: bytes, options: RequestOptions) -> Recognized:
        """Return what 16 kHz mono PCM says; raises ProviderError."""
        verbose = options.response_format != "json" and options.model not in self._plain
        answer = await self._post(pcm, options, verbose=verbose)
        if isinstance(answer, Refusal) and verbose and answer.is_about_format:
            if options.response_format == "verbose_json":
                raise self._failures.refused(answer)
            if len(self._plain) < _MOST_REMEMBERED:  # sessions may name models that do not exist
                self._plain.add(options.model)
            answer = await self._post(pcm, options, verbose=False)
        if isinstance(answer, Refusal):
            raise self._failures.refused(answer)
        try:
            return read_answer(answer, len(pcm) / _SAMPLE_BYTES / SAMPLE_RATE)
        except (ValueError, RecursionError) as error:
            raise self._failures.garbled() from error

    async def check(self) -> None:
        """Ask for the list of models, which costs nothing; servers without one are reachable."""
        async with self._request("GET", "/models") as response:
            if response.status >= 300 and response.status not in _NO_LIST_OF_MODELS:
                raise self._failures.refused(await _refusal(response))

    async def _post(self, pcm: bytes, options: RequestOptions, *, verbose: bool) -> bytes | Refusal:
        form = aiohttp.FormData(options.fields(verbose=verbose))
        form.add_field("file", wav(pcm), filename="audio.wav", content_type="audio/wav")
        async with self._request("POST", "/audio/transcriptions", data=form) as response:
            if response.status != 200:
                return await _refusal(response)
            body = await _read(response, _ANSWER_MAX_BYTES + 1)
            if len(body) > _ANSWER_MAX_BYTES:
                raise self._failures.garbled()
            return body

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, **more: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            # A key is for the address it was configured for: redirects end here.
            async with self._session.request(
                method, self._url + path, allow_redirects=False, **more
            ) as response:
                yield response
        except TimeoutError as error:
            raise self._failures.slow(self._timeout) from error
        except aiohttp.ClientResponseError as error:
            raise self._failures.garbled() from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._failures.unreachable(_why(error)) from error


async def _refusal(response: aiohttp.ClientResponse) -> Refusal:
    body = await _read(response, _REFUSAL_MAX_BYTES)
    return read_refusal(response.status, response.headers, body)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body, or its first ``most`` bytes."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) >= most:
            break
    return bytes(body[:most])


def wav(pcm: bytes) -> bytes:
    """Return 16 kHz mono PCM as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(_SAMPLE_BYTES)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(pcm)
    return file.getvalue()


def _why(error: Exception) -> str:
    """Say in a few words why a connection could not be made."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not trusted"
        case aiohttp.ClientSSLError():
            return "it does not speak TLS as expected"
        case aiohttp.ClientConnectorError():
            return os.strerror(error.os_error.errno) if error.os_error.errno else "no connection"
        case aiohttp.ServerDisconnectedError():
            return "it hung up"
    return "the connection broke"
