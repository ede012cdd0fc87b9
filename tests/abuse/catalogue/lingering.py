"""Connections that stay and do nothing, or next to nothing; each must be ended within ``PATIENCE``."""

from __future__ import annotations

import asyncio
import contextlib

from sttgate.protocols.native import PATH
from tests.abuse.abuse import UPGRADE, Abuse, Peer, masked, request

PATIENCE = 40.0
"""Seconds; no timeout of the server's for those who do nothing is longer."""


def drip(name: str, head: bytes, drops: bytes, every: float = 1.0) -> Abuse:
    """Return an abuse that sends ``drops`` byte by byte, for as long as the server lets it."""

    async def act(port: int) -> None:
        peer = await Peer.connect(port)
        try:
            await peer.send(head)
            ended = asyncio.create_task(peer.rest(PATIENCE))
            for byte in drops:
                if ended.done():
                    break
                await peer.send(bytes([byte]))
                await asyncio.wait({ended}, timeout=every)
            await ended
        finally:
            peer.leave()

    return Abuse(name, act)


async def _mute_websocket(port: int) -> None:
    """Upgrade, then answer no ping."""
    peer = await (await Peer.connect(port)).upgrade()
    try:
        await peer.rest(PATIENCE)
    finally:
        peer.leave()


async def _silent_websocket(port: int) -> None:
    """Upgrade and answer every ping, but say nothing: protocol 2 does not wait for ever."""
    peer = await (await Peer.connect(port)).upgrade()
    try:
        async with asyncio.timeout(PATIENCE):
            while (frame := await peer.frame(PATIENCE)) is not None and frame.opcode != 8:
                if frame.opcode == 9:
                    await peer.send(masked(10, frame.payload))
        assert frame is not None
        assert int.from_bytes(frame.payload[:2], "big") == 4408
    finally:
        peer.leave()


async def _half_closed(port: int) -> None:
    """Ask and close one half."""
    peer = await Peer.connect(port)
    try:
        await peer.send(request("GET /livez HTTP/1.1"))
        with contextlib.suppress(OSError):
            peer.writer.write_eof()
        await peer.rest(PATIENCE)
    finally:
        peer.leave()


ABUSES: list[Abuse] = [
    drip("silence", b"", b""),
    drip("a head that never ends", b"GET /livez HTTP/1.1\r\n", b"X-Slow: " + b"a" * 200),
    drip("headers that never end", b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n" * 50),
    drip("a body that never comes", request("POST /api/v1/tokens HTTP/1.1", "Content-Type: application/json", "Content-Length: 100"), b""),
    drip("a body that drips", request("POST /api/v1/tokens HTTP/1.1", "Content-Type: application/json", "Content-Length: 1000"), b" " * 200),
    drip("a chunk that never ends", request("POST /api/v1/tokens HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked") + b"ff\r\n", b" " * 200),
    drip("half a handshake", f"GET {PATH} HTTP/1.1\r\nHost: x\r\n{UPGRADE[0]}\r\n".encode(), b""),
    drip("an answer, then nothing", request("GET /livez HTTP/1.1"), b""),
    Abuse("a WebSocket that answers no ping", _mute_websocket),
    Abuse("a WebSocket that says nothing", _silent_websocket),
    Abuse("a half that is closed", _half_closed),
]  # fmt: skip
