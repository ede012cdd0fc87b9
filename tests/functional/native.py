"""A server with the native protocol for tests, and clients that look at every byte of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType
from aiohttp.test_utils import TestClient

from sttgate.gateway import Gateway
from sttgate.protocols.native import PATH
from tests.gateways import receive_until

ENGINES = Path(__file__).parent / "engines"
FRAME = 3200  # bytes: 0.1 s of 16 kHz mono
START = '{"event":"start"}'
STOP = '{"event":"stop"}'

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, and a client for it."""

    gateway: Gateway
    client: TestClient[Any, Any]

    def connect(self, query: str = "", **options: Any) -> Any:
        """Return a WebSocket to be entered; ``query`` is such as ``?protocol=2``."""
        return self.client.ws_connect(f"{PATH}{query}", **options)

    async def wire(self, query: str = "", receive_buffer: int | None = None) -> Wire:
        """Return a client that does only what it is told."""
        assert self.client.port is not None
        return await Wire.open(self.client.port, query, receive_buffer)

    def engine(self, name: str) -> Any:
        """Return the engine of the configured provider ``name``."""
        return self.gateway.providers[name].provider

    async def stored(self, session_id: str) -> Message | None:
        """Return what the API shows of a session, or None."""
        async with self.client.get(f"/api/v1/sessions/{session_id}") as response:
            assert response.status in (200, 404)
            return await response.json() if response.status == 200 else None

    async def recording(self, session_id: str) -> bytes | None:
        """Return the recorded PCM of a session, without the header, or None."""
        async with self.client.get(f"/api/v1/sessions/{session_id}/audio") as response:
            assert response.status in (200, 404)
            return (await response.read())[44:] if response.status == 200 else None

    async def settled(self, timeout: float = 15.0) -> None:
        """Return once no session is left."""
        await until(lambda: not self.gateway.sessions, timeout)


class Wire:
    """A WebSocket client that does nothing by itself: it reads, answers and closes when told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, query: str = "", receive_buffer: int | None = None) -> Wire:
        """Connect; ``receive_buffer`` is in bytes, for one that soon has no more room."""
        sock = sockets.socket(proto=sockets.IPPROTO_TCP)  # or asyncio leaves Nagle on
        if receive_buffer is not None:
            sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=receive_buffer or 2**16)
        writer.write(
            f"GET {PATH}{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "\r\n".encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        return cls(reader, writer)

    def send(self, opcode: WSMsgType, payload: bytes, size: int | None = None) -> None:
        """Send a frame whose header says it has ``size`` bytes, else as many as it has."""
        length = len(payload) if size is None else size
        mask = bytes(4)  # all zero, so that the payload goes out as it is
        self._writer.write(struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, length) + mask + payload)

    async def sent(self) -> None:
        """Wait until the kernel has most of what was sent, or the connection is gone."""
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()
        await asyncio.sleep(0)

    def send_close(self, code: int) -> None:
        """Send a Close frame; control frames have short headers only."""
        self._writer.write(bytes((0x88, 0x82)) + bytes(4) + code.to_bytes(2, "big"))

    async def ended(self, timeout: float = 10.0) -> None:
        """Read on until the server ends the connection."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(timeout):
                await self._reader.read()
        self._writer.transport.abort()

    async def receive(self, timeout: float = 10.0) -> tuple[WSMsgType, bytes]:
        """Return opcode and payload of the next frame."""
        async with asyncio.timeout(timeout):
            first, length = await self._reader.readexactly(2)
            if length == 126:
                (length,) = struct.unpack(">H", await self._reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", await self._reader.readexactly(8))
            return WSMsgType(first & 0x0F), await self._reader.readexactly(length)

    @property
    def cut(self) -> bool:
        """Whether the connection is gone."""
        return self._writer.transport.is_closing()

    def vanish(self) -> None:
        """Go away without a word."""
        self._writer.transport.abort()


Serve = Callable[..., Awaitable[Server]]


async def until(condition: Callable[[], bool], timeout: float = 15.0) -> None:
    """Return once ``condition`` holds."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def receive_text(socket: ClientWebSocketResponse, timeout: float = 10.0) -> str:
    """Return the next text frame as it came."""
    message = await socket.receive(timeout=timeout)
    assert message.type is WSMsgType.TEXT, message
    text: str = message.data
    return text


async def receive_frames(socket: ClientWebSocketResponse, event: str = "stopped") -> list[str]:
    """Return the text frames, as they came, up to and including the first ``event``."""
    frames: list[str] = []
    while not frames or json.loads(frames[-1])["event"] != event:
        frames.append(await receive_text(socket))
    return frames


async def send(socket: ClientWebSocketResponse, event: str, **fields: object) -> None:
    """Send an event."""
    await socket.send_str(json.dumps({"event": event} | fields))


async def send_audio(socket: ClientWebSocketResponse, pcm: bytes, size: int = FRAME) -> None:
    """Send ``pcm`` in frames of ``size`` bytes."""
    for at in range(0, len(pcm), size):
        await socket.send_bytes(pcm[at : at + size])


async def start(socket: ClientWebSocketResponse, **fields: object) -> list[Message]:
    """Start a session of protocol 2; return what comes up to and including ``started``."""
    await send(socket, "start", **fields)
    return await receive_until(socket, "started")


async def stop(socket: ClientWebSocketResponse, **fields: object) -> list[Message]:
    """Stop a session; return what comes up to and including ``stopped``."""
    await send(socket, "stop", **fields)
    return await receive_until(socket, "stopped")


async def talk(server: Server, pcm: bytes = b"", **fields: object) -> list[Message]:
    """Have a whole session of protocol 2 and return all its messages."""
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        messages = await start(socket, **fields)
        await send_audio(socket, pcm)
        return messages + await stop(socket)
