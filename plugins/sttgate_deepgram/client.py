"""The SDK's client and what all streams of a provider share: TLS context and connection pool."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
from deepgram import AsyncDeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.socket_client import AsyncV1SocketClient

from sttgate_deepgram.failures import Failures, Refused
from sttgate_deepgram.options import DeepgramOptions
from sttgate_deepgram.transport import Transport, transport_factory, watch_handshake

DNS_CACHE_SECONDS = 60
_log = logging.getLogger(__name__)


class Client:
    """Makes connections; belongs to the event loop it was made in.

    A TLS context costs 25 ms and 1 MB: there is one, and the SDK's REST client
    gets it too.
    """

    @classmethod
    async def make(cls, options: DeepgramOptions, failures: Failures) -> Client:
        """Make one; the SDK imports much as its client is made, so that happens in a thread."""
        tls, rest, sdk = await asyncio.to_thread(_load, options)
        return cls(options, failures, tls, rest, sdk)

    def __init__(
        self,
        options: DeepgramOptions,
        failures: Failures,
        tls: ssl.SSLContext,
        rest: httpx.AsyncClient,
        sdk: AsyncDeepgramClient,
    ) -> None:
        self._options = options
        self._failures = failures
        self._rest = rest
        self._sdk = sdk
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=DNS_CACHE_SECONDS, ssl=tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            middlewares=(watch_handshake,),
        )

    async def close(self) -> None:
        """Close the pools; streams that are still open break."""
        await self._session.close()
        await self._rest.aclose()

    @asynccontextmanager
    async def connect(self, query: dict[str, Any]) -> AsyncIterator[AsyncV1SocketClient]:
        """Open a live connection for ``query`` (see `query.py`); raises ProviderError.

        Leaving it never waits for the server. Its ``recv`` returns bytes and raises Closed.
        """
        transport = Transport(self._session, self._options.heartbeat)
        async with AsyncExitStack() as stack:
            try:
                with transport.dialled():
                    connection = await stack.enter_async_context(
                        self._sdk.listen.v1.connect(**query)
                    )
                    async with asyncio.timeout(self._options.connect_timeout):
                        await transport.open()
            except Refused as refusal:
                raise self._failures.refused(refusal) from refusal
            except (TimeoutError, aiohttp.ServerTimeoutError) as error:
                raise self._failures.slow("connect", self._options.connect_timeout) from error
            except aiohttp.ClientResponseError as error:
                raise self._failures.garbled() from error
            except (aiohttp.ClientError, OSError) as error:
                raise self._failures.unreachable(_why(error)) from error
            _log.debug("Deepgram stream open, request %.64r", transport.request_id)
            yield connection


def _load(
    options: DeepgramOptions,
) -> tuple[ssl.SSLContext, httpx.AsyncClient, AsyncDeepgramClient]:
    tls = ssl.create_default_context()
    rest = httpx.AsyncClient(verify=tls)
    sdk = AsyncDeepgramClient(
        api_key=options.api_key.get_secret_value(),
        environment=_environment(options.base_url),
        httpx_client=rest,
        transport_factory=transport_factory,
    )
    return tls, rest, sdk


def _environment(base_url: str) -> DeepgramClientEnvironment:
    """Return the SDK's addresses for one server."""
    parts = urlsplit(base_url)
    tls = "s" if parts.scheme in {"https", "wss"} else ""
    http = parts._replace(scheme=f"http{tls}").geturl()
    ws = parts._replace(scheme=f"ws{tls}").geturl()
    return DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)


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
