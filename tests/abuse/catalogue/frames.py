"""Frames that break RFC 6455, or stretch it."""

from __future__ import annotations

import struct
import zlib

from tests.abuse.abuse import START, Abuse, Peer, checked, masked, socket

PROTOCOL_ERROR = (1002,)
TOO_BIG = (1009,)
HUNG_UP = 0  # who is still sending when the server hangs up may not get to read why


async def _bomb(port: int) -> None:
    """Offer compression, then send what unpacks to 100 MiB: nobody took the offer."""
    peer = await (await Peer.connect(port)).upgrade(
        "?protocol=2", "Sec-WebSocket-Extensions: permessage-deflate"
    )
    try:
        assert b"permessage-deflate" not in peer.received
        packed = zlib.compressobj(wbits=-15)
        bomb = packed.compress(bytes(100 << 20)) + packed.flush(zlib.Z_SYNC_FLUSH)
        await peer.send(masked(2, bomb[:-4], bits=0x40))
        assert await peer.closed() in PROTOCOL_ERROR
        checked(peer)
    finally:
        peer.leave()


async def _in_pieces(port: int) -> None:
    """Send a start byte by byte: that is slow, but right."""
    peer = await (await Peer.connect(port)).upgrade()
    try:
        for byte in START:
            await peer.send(bytes([byte]))
        await peer.answer("started")
    finally:
        peer.leave()


ABUSES: list[Abuse] = [
    # aiohttp takes frames without a mask, which harms nobody here
    socket("unmasked text", b"\x81\x05hello"),
    socket("unmasked audio", b"\x82\x7e\x01\x00" + bytes(256)),
    socket("reserved bit 1", masked(1, b"{}", bits=0x40), closes=PROTOCOL_ERROR),
    socket("reserved bit 2", masked(1, b"{}", bits=0x20), closes=PROTOCOL_ERROR),
    socket("reserved bit 3", masked(2, b"{}", bits=0x10), closes=PROTOCOL_ERROR),
    socket("reserved opcode 3", masked(3, b"x"), closes=PROTOCOL_ERROR),
    socket("reserved opcode 11", masked(11, b"x"), closes=PROTOCOL_ERROR),
    socket("ping in pieces", masked(9, b"x", fin=False), closes=PROTOCOL_ERROR),
    socket("long ping", masked(9, bytes(126)), closes=PROTOCOL_ERROR),
    socket("long close", masked(8, struct.pack(">H", 1000) + bytes(200)), closes=PROTOCOL_ERROR),
    socket("close of one byte", masked(8, b"\x03"), closes=PROTOCOL_ERROR),
    socket("close with a reserved code", masked(8, struct.pack(">H", 1005)), closes=PROTOCOL_ERROR),
    socket("close with no code there is", masked(8, struct.pack(">H", 99)), closes=PROTOCOL_ERROR),
    socket("close with a reason that is no UTF-8", masked(8, b"\x03\xe8\xff\xfe"), closes=(1007, 1002, 1000)),
    socket("close without a code", masked(8), closes=(1000, 1005, 0)),
    socket("text that is no UTF-8", masked(1, b'{"event":"\xff\xfe"}'), closes=(1007,)),
    socket("text that ends inside a character", masked(1, b'{"event":"\xe2\x82'), closes=(1007,)),
    socket("continuation of nothing", masked(0, b"more"), closes=PROTOCOL_ERROR),
    socket("second message inside the first", masked(1, b"{", fin=False), masked(1, b"}"), closes=PROTOCOL_ERROR),
    socket("audio inside a text", masked(1, b"{", fin=False), masked(2, bytes(4)), closes=PROTOCOL_ERROR),
    socket("length beyond 63 bits", b"\x82\xff" + struct.pack(">Q", 1 << 63) + bytes(4), closes=(1002, 1009)),
    socket("message of 2 GiB", masked(2, b"", length=2 << 30), closes=TOO_BIG),
    socket("pieces of more than 16 MiB", masked(2, bytes(9 << 20), fin=False), masked(0, bytes(9 << 20)), closes=(*TOO_BIG, HUNG_UP)),
    socket("pings without end", *[masked(9, b"x" * 125)] * 2000),
    socket("pongs nobody asked for", *[masked(10, b"x")] * 2000),
    socket("empty frames without end", *[masked(2)] * 2000),
    socket("empty pieces without end", masked(1, b"", fin=False), *[masked(0, b"", fin=False)] * 2000, masked(0, b"{}")),
    socket("ping between pieces", masked(1, b'{"event":', fin=False), masked(9, b"x"), masked(0, b'"ping"}')),
    Abuse("compression that was not agreed on", _bomb),
    Abuse("a start in pieces of a byte", _in_pieces),
]  # fmt: skip
