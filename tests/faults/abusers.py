"""Clients that abuse a server, in a process of their own.

``python -m tests.faults.abusers URL SECONDS``: so long for each kind of abuse, in turn.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp

from sttgate.protocols.native import PATH
from tests.faults.speech import count, speech

LARGEST_MESSAGE = 16 * 1024 * 1024
SPEECH = speech(count(3000))


@asynccontextmanager
async def connection(
    http: aiohttp.ClientSession, url: str, query: str = "?protocol=2"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Connect, without a word."""
    socket = await http.ws_connect(url + PATH + query, max_msg_size=1 << 25)
    try:
        yield socket
    finally:
        await socket.close()


async def drink(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Read and forget."""
    async for _ in socket:
        pass


async def flood(http: aiohttp.ClientSession, url: str) -> None:
    """Send audio fifty times faster than anybody speaks."""
    async with connection(http, url) as socket:
        drinking = asyncio.create_task(drink(socket))
        await socket.send_str('{"event":"start"}')
        for at in range(0, len(SPEECH), 32_000):
            await socket.send_bytes(SPEECH[at : at + 32_000])
            await asyncio.sleep(0.02)
        drinking.cancel()


async def largest(http: aiohttp.ClientSession, url: str) -> None:
    """Send the largest message that is taken, and one that is too large."""
    async with connection(http, url) as socket:
        await socket.send_str('{"event":"start","store":false}')
        await socket.send_bytes(bytes(LARGEST_MESSAGE))
        await asyncio.sleep(2.0)
        await socket.send_bytes(bytes(LARGEST_MESSAGE + 1))
        await drink(socket)


async def come_and_go(http: aiohttp.ClientSession, url: str) -> None:
    """Start sessions and leave them."""
    async with connection(http, url, random.choice(["", "?protocol=2"])) as socket:
        await socket.send_str('{"event":"start"}')
        await socket.send_bytes(SPEECH[:16_000])
        await asyncio.sleep(random.uniform(0, 0.05))


async def nonsense(http: aiohttp.ClientSession, url: str) -> None:
    """Send what is no message, and ask without end."""
    async with connection(http, url) as socket:
        await socket.send_str('{"event":"start"}')
        for number in range(300):
            await socket.send_str("[" * 5_000)
            await socket.send_str(json.dumps({"event": "ping", "id": number}))
            await socket.send_str(json.dumps({"event": "metadata", "metadata": {"x": "y" * 5_000}}))
            await socket.send_str(json.dumps({"event": "start", "sample_rate": number}))
            await socket.send_bytes(bytes(random.randrange(1, 2_000)))
            await socket.ping(b"x" * 100)
            await asyncio.sleep(0.01)


async def dawdle(http: aiohttp.ClientSession, url: str) -> None:
    """Begin a request and take for ever to end it."""
    port = int(url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in ("GET /livez HTTP/1.1\r\n", *["X-Header: x\r\n"] * 100):
            writer.write(piece.encode())
            await asyncio.sleep(0.5)
    finally:
        writer.close()


Abuse = Callable[[aiohttp.ClientSession, str], Awaitable[None]]
CROWD: dict[Abuse, int] = {flood: 2, largest: 1, come_and_go: 3, nonsense: 2, dawdle: 20}
"""How many of each."""


async def again(abuse: Abuse, http: aiohttp.ClientSession, url: str, until: float) -> None:
    """Do it, and again until the time is over."""
    while time.monotonic() < until:
        try:
            await abuse(http, url)
        except (aiohttp.ClientError, ConnectionError):
            await asyncio.sleep(0.05)


async def main(url: str, seconds: float) -> None:
    """Do one after the other for some seconds each, until the process is ended."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        while True:
            for abuse, times in CROWD.items():
                until = time.monotonic() + seconds
                crowd = [asyncio.create_task(again(abuse, http, url, until)) for _ in range(times)]
                await asyncio.wait(crowd, timeout=seconds)
                for task in crowd:
                    task.cancel()
                await asyncio.wait(crowd)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
