"""A small client for a running gateway, speaking protocol 2."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from sttgate.errors import SttgateError
from sttgate.session.entries import AnyEntry, Stopped

PATH = "/ws/v1/speech-to-text"
_CONNECT_TIMEOUT = 10.0
_decoder: msgspec.json.Decoder[AnyEntry] = msgspec.json.Decoder(AnyEntry)


class ClientError(SttgateError):
    """The gateway could not be reached, or broke off."""


class GatewayClient:
    """One session on a gateway: send audio, iterate events until ``Stopped``."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, url: str) -> None:
        self._socket = socket
        self._url = url

    async def send(self, pcm: bytes) -> None:
        """Send audio in the format ``start`` named; waits while the gateway does not read."""
        await self._socket.send_bytes(pcm)

    async def event(self, name: str, **fields: Any) -> None:
        """Send an event such as ``finalize`` or ``stop``."""
        await self._socket.send_str(msgspec.json.encode({"event": name} | fields).decode())

    async def stop(self) -> None:
        """End the audio; the last finals and ``Stopped`` follow."""
        await self.event("stop")

    async def events(self) -> AsyncIterator[AnyEntry]:
        """Yield what the gateway says, ``Stopped`` last; ClientError if it breaks off before."""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            try:
                entry = _decoder.decode(message.data)
            except msgspec.ValidationError:
                continue  # an event of the connection, or of a newer gateway
            yield entry
            if isinstance(entry, Stopped):
                return
        raise ClientError(f"the gateway at {self._url} broke off before the session ended")


@asynccontextmanager
async def connect(url: str, **start: Any) -> AsyncIterator[GatewayClient]:
    """Open a session on the gateway at ``url`` (http or ws); ``start`` holds the fields of start.

    Raises ClientError that says what to do when there is nobody.
    """
    base = url.rstrip("/")
    address = (base if base.endswith(PATH) else base + PATH) + "?protocol=2"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        try:
            socket = await http.ws_connect(address, heartbeat=20, max_msg_size=16 * 1024**2)
        except aiohttp.WSServerHandshakeError as error:
            raise ClientError(f"the gateway at {url} refused: HTTP {error.status}") from error
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ClientError(
                f"no gateway answers at {url} ({error or type(error).__name__}); is it running?"
            ) from error
        async with socket:
            client = GatewayClient(socket, url)
            await client.event("start", **start)
            yield client
