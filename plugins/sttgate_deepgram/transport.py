"""The WebSocket under the SDK: aiohttp in place of the legacy client of ``websockets``.

deepgram-sdk builds the URL, authenticates and names the messages; this carries them. It is handed
over by the SDK's public ``transport_factory`` and yields text frames as *bytes*, which SDK 7.17
passes on unparsed: `messages.py` reads them thirty times faster than its pydantic models do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Self

import aiohttp
import msgspec
from yarl import URL

from sttgate_deepgram.failures import Closed, Garbled, Refused, Silent
from sttgate_deepgram.messages import NO_JSON

MAX_MESSAGE_BYTES = 1 << 20
_REFUSAL_MAX_BYTES = 16_384
_LINGER_SECONDS = 0.5
_DATA = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)

# The SDK knows one factory per process, while connections belong to different providers and event
# loops; and aiohttp shows a handshake to middlewares only. Both find the transport being dialled here.
_dialled: ContextVar[Transport] = ContextVar("sttgate_deepgram_dialled")


def transport_factory(url: str, headers: dict[str, str]) -> Transport:
    """Return the transport that is being dialled, aimed at ``url``; this is what the SDK calls."""
    transport = _dialled.get(None)
    if transport is None:
        raise RuntimeError(
            "live connections of deepgram-sdk in this process belong to sttgate_deepgram"
        )
    transport.aim(url, headers)
    return transport


async def watch_handshake(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep hold of an accepted connection; raise Refused with what the server says of another."""
    response = await handler(request)
    if response.status == 101:
        _dialled.get().hold(response)
        return response
    try:
        # Redirects end here too: a key is for the address it was configured for.
        raise await _refusal(response)
    finally:
        response.close()


class _Refusal(msgspec.Struct):
    err_code: str | None = None
    err_msg: str | None = None


async def _refusal(response: aiohttp.ClientResponse) -> Refused:
    body = _Refusal()
    with suppress(aiohttp.ClientError, *NO_JSON):
        # the headers may say enough
        body = msgspec.json.decode(await response.content.read(_REFUSAL_MAX_BYTES), type=_Refusal)
    return Refused(
        status=response.status,
        code=body.err_code,
        text=response.headers.get("dg-error") or body.err_msg or "",
        request_id=response.headers.get("dg-request-id"),
        retry_after=response.headers.get("Retry-After"),
    )


class Transport:
    """One connection, in the shape of the SDK's ``AsyncTransport``.

    ``send`` and ``recv`` raise Closed once it is over. ``close`` never waits for the other side.
    """

    def __init__(self, session: aiohttp.ClientSession, heartbeat: float) -> None:
        self._session = session
        self._heartbeat = heartbeat
        self._url = ""
        self._headers: dict[str, str] = {}
        self._socket: aiohttp.ClientWebSocketResponse[bool] | None = None
        self._tcp: asyncio.Transport | None = None
        self.request_id: str | None = None

    @contextmanager
    def dialled(self) -> Iterator[None]:
        """Make this the transport that the SDK and aiohttp deal with in this task."""
        token = _dialled.set(self)
        try:
            yield
        finally:
            _dialled.reset(token)

    def aim(self, url: str, headers: dict[str, str]) -> None:
        """Take the address and headers the SDK has made; it cannot await, so ``open`` connects."""
        self._url, self._headers = url, headers

    def hold(self, response: aiohttp.ClientResponse) -> None:
        """Take what the answer to the upgrade shows."""
        self.request_id = response.headers.get("dg-request-id")
        if response.connection is not None:
            self._tcp = response.connection.transport

    async def open(self) -> None:
        """Connect; raises Refused, aiohttp.ClientError or OSError. Call it within ``dialled``."""
        self._socket = await self._session.ws_connect(
            URL(self._url, encoded=True),
            headers=self._headers,
            heartbeat=self._heartbeat,
            # aiohttp would answer the server's Close inside receive() and wait there for room to write.
            autoclose=False,
            timeout=aiohttp.ClientWSTimeout(ws_close=0),
            compress=0,
            max_msg_size=MAX_MESSAGE_BYTES,
            decode_text=False,
        )

    async def send(self, data: str | bytes) -> None:
        """Send a text (str) or binary (bytes) message; waits while the server does not read."""
        assert self._socket is not None
        try:
            if isinstance(data, str):
                await self._socket.send_str(data)
            else:
                await self._socket.send_bytes(data)
        except (aiohttp.ClientError, ConnectionError) as error:
            raise Closed from error

    async def recv(self) -> bytes:
        """Return the next message, text or binary."""
        assert self._socket is not None
        message = await self._socket.receive()
        if message.type in _DATA:
            data: bytes = message.data
            return data
        if message.type is aiohttp.WSMsgType.CLOSE:
            raise Closed(message.data, message.extra or "")
        error = self._socket.exception() or message.data
        if isinstance(error, aiohttp.ServerTimeoutError):
            raise Silent from error
        if isinstance(error, aiohttp.WebSocketError):
            raise Garbled from error
        raise Closed from error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except Closed:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        """Say goodbye if that can be done at once, and let the socket go either way."""
        if self._socket is None or self._tcp is None:
            return
        if self._tcp.get_write_buffer_size():
            self._tcp.abort()  # the server does not read: a goodbye would wait behind the audio
        await self._socket.close()
        # A last frame the kernel has no room for, or a TLS farewell nobody answers, ends here.
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._tcp.abort)
