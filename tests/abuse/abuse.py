"""What an abuse is: something hostile or broken that somebody does to a server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import struct
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from sttgate.protocols.native import PATH

TIMEOUT = 20.0
_LEAKS = re.compile(
    rb"Traceback|\.py\b|/(?:home|root|usr)/|site-packages|sqlite|aiohttp\.|sttgate\."
)
"""What an answer must not tell about the inside."""


class Frame(NamedTuple):
    """A WebSocket frame as it came."""

    opcode: int
    payload: bytes


@dataclass(slots=True)
class Peer:
    """A TCP connection to the server that does exactly what it is told."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    port: int
    received: bytearray = field(default_factory=bytearray)

    @classmethod
    async def connect(cls, port: int) -> Peer:
        """Connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
        return cls(reader, writer, port)

    async def send(self, data: bytes) -> None:
        """Send bytes; a server that has hung up meanwhile is no mistake of ours."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            async with asyncio.timeout(TIMEOUT):
                await self.writer.drain()

    async def head(self) -> int:
        """Return the status of the answer whose head comes next, 0 if the server just hangs up."""
        try:
            async with asyncio.timeout(TIMEOUT):
                head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        self.received += head
        return int(head.split(b" ", 2)[1])

    async def rest(self, timeout: float = TIMEOUT) -> bytes:
        """Return everything up to the end of the connection, which must come in time."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(timeout):
                while data := await self.reader.read(65_536):
                    self.received += data
        return bytes(self.received)

    async def upgrade(self, query: str = "?protocol=2", *headers: str) -> Peer:
        """Become a WebSocket."""
        await self.send(request(f"GET {PATH}{query} HTTP/1.1", *UPGRADE, *headers))
        assert await self.head() == 101
        return self

    async def frame(self, timeout: float = TIMEOUT) -> Frame | None:
        """Return the next frame, None at the end of the connection."""
        try:
            async with asyncio.timeout(timeout):
                first, length = await self.reader.readexactly(2)
                if length == 126:
                    (length,) = struct.unpack(">H", await self.reader.readexactly(2))
                elif length == 127:
                    (length,) = struct.unpack(">Q", await self.reader.readexactly(8))
                payload = await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self.received += payload
        return Frame(first & 0x0F, payload)

    async def closed(self, timeout: float = TIMEOUT) -> int:
        """Read on to the end; return the code of the Close frame, 0 if none came."""
        code = 0
        while (frame := await self.frame(timeout)) is not None:
            if frame.opcode == 8:
                code = int.from_bytes(frame.payload[:2], "big")
                await self.send(masked(8, frame.payload[:2]))
        return code

    async def answer(self, event: str, timeout: float = TIMEOUT) -> bytes:
        """Read on to the first text message of this event and return it."""
        while (frame := await self.frame(timeout)) is not None:
            if f'"event":"{event}"'.encode() in frame.payload:
                return frame.payload
        raise AssertionError(f"the server hung up before {event}")

    def leave(self) -> None:
        """Be gone."""
        self.writer.transport.abort()


UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def request(line: str, *headers: str, host: str = "Host: 127.0.0.1") -> bytes:
    """Return the head of a request."""
    return "".join(f"{part}\r\n" for part in (line, host, *headers, "")).encode("latin-1")


def masked(
    opcode: int, payload: bytes = b"", *, fin: bool = True, bits: int = 0, length: int | None = None
) -> bytes:
    """Return a frame as a client must send it; ``length`` lies about the payload's."""
    mask = os.urandom(4)
    size = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | bits | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65_536:
        head += bytes([0x80 | 126]) + struct.pack(">H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", size)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def text(content: str | bytes) -> bytes:
    """Return a text message."""
    return masked(
        1, content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    )


START = text('{"event":"start"}')
STOP = text('{"event":"stop"}')


Act = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Abuse:
    """One of them: ``act(port)`` does it, and asserts what the server must answer."""

    name: str
    act: Act

    def __str__(self) -> str:
        return self.name


def checked(peer: Peer) -> None:
    """Assert that nothing the server said tells about its inside."""
    found = _LEAKS.search(bytes(peer.received))
    assert found is None, f"the answer tells {found}"


def raw(name: str, data: bytes, *statuses: int, then_close: bool = False) -> Abuse:
    """Return an abuse that sends bytes and gets one of ``statuses``; 0 stands for no answer."""

    async def act(port: int) -> None:
        peer = await Peer.connect(port)
        try:
            await peer.send(data)
            if then_close:
                peer.writer.write_eof()
            status = await peer.head()
            assert status in statuses, f"{status}, not {statuses}"
            checked(peer)
        finally:
            peer.leave()

    return Abuse(name, act)


def socket(
    name: str, *sent: bytes, closes: Iterable[int] = (), query: str = "?protocol=2"
) -> Abuse:
    """Return an abuse of a WebSocket; it is closed with one of ``closes``, or serves on if none."""

    async def act(port: int) -> None:
        peer = await (await Peer.connect(port)).upgrade(query)
        try:
            for data in sent:
                await peer.send(data)
            if codes := tuple(closes):
                code = await peer.closed()
                assert code in codes, f"closed with {code}, not {codes}"
            else:
                await goes_on(peer)
            checked(peer)
        finally:
            peer.leave()

    return Abuse(name, act)


async def goes_on(peer: Peer) -> None:
    """Assert that the connection still answers a ping of WebSocket."""
    await peer.send(masked(9, b"still there?"))
    while (frame := await peer.frame()) is not None:
        if frame.opcode == 10 and frame.payload == b"still there?":
            return
    raise AssertionError("the server hung up")
