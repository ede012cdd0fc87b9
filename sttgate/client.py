"""A client for a running gateway that loses nothing when its connection breaks.

It speaks protocol 2, keeps the audio the gateway has not acknowledged, and after a broken
connection resumes the session: missed events are replayed, unacknowledged audio is sent again.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from sttgate.errors import SttgateError
from sttgate.session.entries import AnyEntry, Error, Started, Stopped

PATH = "/ws/v1/speech-to-text"
BUFFER_BYTES = 4 * 1024 * 1024  # unacknowledged audio kept for a resume; beyond it ``send`` waits
_CONNECT_TIMEOUT = 10.0
_FIRST_RETRY = 0.2  # seconds, doubled each time, with jitter
_MAX_RETRY = 5.0
_GIVE_UP_AFTER = 30.0  # seconds without a connection; the gateway keeps a session that long
_decoder: msgspec.json.Decoder[AnyEntry] = msgspec.json.Decoder(AnyEntry)


class ClientError(SttgateError):
    """The gateway could not be reached, refused, or broke off for good."""


class SessionLost(ClientError):
    """The gateway no longer knows the session: it waited too long, or it was restarted."""


class GatewayClient:
    """One session on a gateway: ``send`` audio, iterate ``events`` until ``Stopped``.

    Sending and iterating go on at the same time, in two tasks.
    """

    def __init__(self, http: aiohttp.ClientSession, url: str, start: dict[str, Any]) -> None:
        self.resumes = 0
        self._http = http
        self._url = url
        self._start = start
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._connected = asyncio.Event()
        self._sending = asyncio.Lock()
        self._room = asyncio.Event()
        self._room.set()
        self._unacknowledged: deque[bytes] = deque()
        self._buffered = 0
        self._acknowledged = 0
        self._sent_pieces = 0
        self._session_id: str | None = None
        self._token: str | None = None
        self._last_seq = 0
        self._stopping = False

    async def send(self, pcm: bytes) -> None:
        """Send audio in the format ``start`` named; waits while too much is unacknowledged."""
        await self._room.wait()
        self._unacknowledged.append(pcm)
        self._buffered += len(pcm)
        if self._buffered > BUFFER_BYTES:
            self._room.clear()
        await self._flush()

    async def event(self, name: str, **fields: Any) -> None:
        """Send an event such as ``finalize``; it is lost if the connection breaks at that moment."""
        await self._connected.wait()
        async with self._sending:
            await self._transmit(_encode(name, fields))

    async def stop(self) -> None:
        """End the audio; the last finals and ``Stopped`` follow."""
        self._stopping = True
        await self._flush()

    async def connect(self) -> None:
        """Open the first connection; ClientError if nobody answers."""
        await self._open(_encode("start", self._start | {"acks": 0.25, "resumable": True}))

    async def events(self) -> AsyncIterator[AnyEntry]:
        """Yield what the gateway says, each event once, ``Stopped`` last.

        Raises ClientError when the connection is lost for good, or the gateway refuses to go on.
        """
        while True:
            assert self._socket is not None
            async for message in self._socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    continue
                if (entry := self._read(message.data)) is None:
                    continue
                yield entry
                if isinstance(entry, Stopped):
                    return
            await self._resume()

    async def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            await self._socket.close()

    def _read(self, text: str) -> AnyEntry | None:
        try:
            entry = _decoder.decode(text)
        except msgspec.ValidationError:
            self._read_connection_event(msgspec.json.decode(text))
            return None
        if isinstance(entry, Error) and entry.fatal:
            raise ClientError(f"the gateway at {self._url} refused: {entry.message}")
        if isinstance(entry, Started) and isinstance(entry.resume_token, str):
            self._session_id, self._token = entry.session_id, entry.resume_token
        self._last_seq = max(self._last_seq, entry.seq)
        return entry

    def _read_connection_event(self, message: dict[str, Any]) -> None:
        if message.get("event") == "ack":
            self._forget(message["received_bytes"])

    def _forget(self, received: int) -> None:
        """Let go of the audio the gateway has."""
        while self._unacknowledged and (
            self._acknowledged + len(self._unacknowledged[0]) <= received
        ):
            size = len(self._unacknowledged.popleft())
            self._sent_pieces = max(0, self._sent_pieces - 1)
            self._acknowledged += size
            self._buffered -= size
        if self._buffered <= BUFFER_BYTES / 2:
            self._room.set()

    async def _flush(self) -> None:
        """Send what this connection has not been sent; without one, a resume will do it."""
        async with self._sending:
            while self._connected.is_set() and self._sent_pieces < len(self._unacknowledged):
                self._sent_pieces += 1
                await self._transmit(self._unacknowledged[self._sent_pieces - 1])
            if self._connected.is_set() and self._stopping:
                await self._transmit(_encode("stop", {}))

    async def _transmit(self, message: bytes | str) -> None:
        """Send on the current connection; if that breaks, iterating ``events`` finds out."""
        assert self._socket is not None
        try:
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)
        except (ConnectionError, aiohttp.ClientError):
            self._connected.clear()

    async def _resume(self) -> None:
        if self._token is None:
            raise ClientError(f"the gateway at {self._url} broke off before the session started")
        self._connected.clear()
        loop = asyncio.get_running_loop()
        deadline, delay = loop.time() + _GIVE_UP_AFTER, _FIRST_RETRY
        while True:
            try:
                await self._take_up()
                self.resumes += 1
                return
            except SessionLost:
                raise
            except ClientError:
                if loop.time() > deadline:
                    raise
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(2 * delay, _MAX_RETRY)

    async def _take_up(self) -> None:
        """Resume the session on a new connection and send again what the gateway has not got."""
        resume = {"session_id": self._session_id, "token": self._token, "last_seq": self._last_seq}
        fields = {"words": self._start.get("words", False), "acks": 0.25, "resume": resume}
        socket = await self._open(_encode("start", fields), connected=False)
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            answer = msgspec.json.decode(message.data)
            if answer.get("event") == "error":
                raise SessionLost(f"{answer['message']} (gateway at {self._url})")
            if answer.get("event") == "resumed":
                break
        else:
            raise ClientError(f"the gateway at {self._url} broke off again")
        self._forget(answer["received_bytes"])
        if skip := answer["received_bytes"] - self._acknowledged:
            self._unacknowledged[0] = self._unacknowledged[0][skip:]
            self._acknowledged += skip
            self._buffered -= skip
        self._sent_pieces = 0
        self._connected.set()
        await self._flush()

    async def _open(self, start: str, *, connected: bool = True) -> aiohttp.ClientWebSocketResponse:
        base = self._url.rstrip("/")
        address = (base if base.endswith(PATH) else base + PATH) + "?protocol=2"
        try:
            socket = await self._http.ws_connect(address, heartbeat=10, max_msg_size=16 * 1024**2)
            await socket.send_str(start)
        except aiohttp.WSServerHandshakeError as error:
            raise ClientError(f"the gateway at {self._url} refused: HTTP {error.status}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ClientError(
                f"no gateway answers at {self._url} ({error or type(error).__name__}); "
                "is it running?"
            ) from error
        if self._socket is not None:
            await self._socket.close()
        self._socket = socket
        if connected:
            self._connected.set()
        return socket


@asynccontextmanager
async def connect(url: str, **start: Any) -> AsyncIterator[GatewayClient]:
    """Open a session on the gateway at ``url`` (http or ws); ``start`` holds the fields of start.

    Raises ClientError that says what to do when there is nobody.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        client = GatewayClient(http, url, start)
        await client.connect()
        try:
            yield client
        finally:
            await client.close()


def _encode(event: str, fields: dict[str, Any]) -> str:
    return msgspec.json.encode({"event": event} | fields).decode()
