"""WebSocket frames on a bare asyncio protocol: load and upstream must cost less than what is measured.

Only what the benchmarks send: whole messages, no fragments, no extensions (RFC 6455, section 5).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from typing import cast

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NO_MASK = bytes(4)  # a client has to mask; with zeros the payload goes out as it is


def frame(opcode: int, payload: bytes, *, masked: bool = False) -> bytes:
    """Return one unfragmented frame."""
    size, bit = len(payload), 0x80 if masked else 0
    if size < 126:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 65536:
        head = struct.pack(">BBH", 0x80 | opcode, bit | 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, bit | 127, size)
    return head + _NO_MASK + payload if masked else head + payload


def accept(key: bytes) -> bytes:
    """Return what a server answers to a client's ``Sec-WebSocket-Key``."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


class FrameProtocol(asyncio.Protocol):
    """One end of a WebSocket; subclasses take the head of the handshake and the frames."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._rest = b""
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def take_head(self, head: bytes) -> None:
        """Take the other side's part of the handshake."""
        raise NotImplementedError

    def take_binary(self, size: int) -> None:
        """Take a binary message, of which only the size matters."""

    def take_text(self, payload: bytes) -> None:
        """Take a text message."""
        raise NotImplementedError

    def take_close(self) -> None:
        """Take a Close frame."""
        self.transport.close()

    def send(self, opcode: int, payload: bytes) -> None:
        """Send one message."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """Cut what came into frames."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        if not self._upgraded:
            found = data.find(b"\r\n\r\n")
            if found < 0:
                self._rest = data
                return
            self._upgraded = True
            self.take_head(data[:found])
            at = found + 4
        while end - at >= 2:
            opcode, size = data[at] & 0x0F, data[at + 1] & 0x7F
            masked, start = data[at + 1] & 0x80, at + 2
            if size == 126:
                if end - at < 4:
                    break
                size, start = data[at + 2] << 8 | data[at + 3], at + 4
            elif size == 127:
                if end - at < 10:
                    break
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            mask = b""
            if masked:
                mask = data[start : start + 4]
                start += 4
            if end - start < size:
                break
            at = start + size
            if opcode == BINARY:
                self.take_binary(size)
                continue
            payload = data[start:at]
            if any(mask):
                payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
            if opcode == TEXT:
                self.take_text(payload)
            elif opcode == PING:
                self.send(PONG, payload)
            elif opcode == CLOSE:
                self.take_close()
        self._rest = data[at:]
