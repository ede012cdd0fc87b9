"""Much of it."""

from __future__ import annotations

import asyncio

from sttgate.testing import tone
from tests.abuse.abuse import START, STOP, Abuse, Peer, masked, request

SPEECH = masked(2, tone(1.0))


async def _crowd(port: int) -> None:
    """Open 300 connections at once, and have a session on each."""

    async def one() -> None:
        peer = await (await Peer.connect(port)).upgrade()
        try:
            await peer.send(START + SPEECH + STOP)
            await peer.answer("stopped", 60)
        finally:
            peer.leave()

    await asyncio.gather(*(one() for _ in range(300)))


async def _come_and_go(port: int) -> None:
    """Connect 500 times and say nothing."""
    for _ in range(500):
        (await Peer.connect(port)).leave()


async def _never_reads(port: int) -> None:
    """Talk for ten minutes and read nothing of the answers: one is cut off, or served."""
    peer = await (await Peer.connect(port)).upgrade()
    try:
        await peer.send(START)
        for _ in range(600):
            await peer.send(SPEECH)
    finally:
        peer.leave()


async def _pipeline(port: int) -> None:
    """Send 2000 requests at once on one connection."""
    peer = await Peer.connect(port)
    try:
        await peer.send(request("GET /livez HTTP/1.1") * 2000)
        for _ in range(50):
            assert await peer.head() == 200
            await peer.reader.readuntil(b"}")
    finally:
        peer.leave()


async def _hours_at_once(port: int) -> None:
    """Send two hours of silence as fast as it goes."""
    peer = await (await Peer.connect(port)).upgrade()
    try:
        await peer.send(START)
        minute = masked(2, bytes(60 * 32_000))
        for _ in range(120):
            await peer.send(minute)
        await peer.send(STOP)
        await peer.answer("stopped", 120)
    finally:
        peer.leave()


ABUSES: list[Abuse] = [
    Abuse("300 sessions at once", _crowd),
    Abuse("500 connections without a word", _come_and_go),
    Abuse("ten minutes and no answer read", _never_reads),
    Abuse("2000 requests in a row", _pipeline),
    Abuse("two hours at once", _hours_at_once),
]
