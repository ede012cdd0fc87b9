"""A client of protocol 2 that writes down everything it saw and sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from sttgate.protocols.native import PATH
from tests.faults.patience import until

Event = dict[str, Any]
CHUNK = 3200  # bytes: 0.1 s


class Caller:
    """``log`` has all events with a ``seq``, ``acks`` the others; times are monotonic seconds."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.log: list[Event] = []
        self.others: list[Event] = []
        self.sent = 0
        self.acknowledged = 0
        self.seen_at: list[float] = []
        self.sent_at: list[tuple[int, float]] = []
        self.ended = False
        self._speaking: asyncio.Task[None] | None = None
        self._more = asyncio.Event()

    @property
    def session_id(self) -> str:
        """The session, once it has started."""
        return str(next(e["session_id"] for e in self.log if e["event"] == "started"))

    async def read(self) -> None:
        """Take what comes until the connection ends."""
        try:
            async for message in self.socket:
                event = json.loads(message.data)
                if event["event"] == "ack":
                    self.acknowledged = event["received_bytes"]
                if event.get("seq") and event["event"] != "resumed":
                    self.log.append(event)
                    self.seen_at.append(time.monotonic())
                else:
                    self.others.append(event)
                self._more.set()
        finally:
            self.ended = True
            self._more.set()

    async def send(self, event: str, **fields: Any) -> None:
        """Send an event."""
        await self.socket.send_str(json.dumps({"event": event} | fields))

    async def speak(self, pcm: bytes, speed: float | None = 1.0, chunk: int = CHUNK) -> None:
        """Send audio in real time, or faster; ``speed`` None: as fast as it goes."""
        begun = time.monotonic()
        for at in range(0, len(pcm), chunk):
            piece = pcm[at : at + chunk]
            await self.socket.send_bytes(piece)
            self.sent += len(piece)
            self.sent_at.append((self.sent, time.monotonic()))
            if speed is not None:
                due = begun + (at + len(piece)) / 32_000 / speed
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    def begin_to_speak(self, pcm: bytes) -> None:
        """Speak in real time, in the background."""
        self._speaking = asyncio.create_task(self.speak(pcm))

    async def fall_silent(self) -> None:
        """Speak no more; with ``acks`` return once the server has all."""
        await self.break_off()
        await until(lambda: self.acknowledged >= self.sent or self.ended)

    async def break_off(self) -> None:
        """Speak no more."""
        if self._speaking is not None:
            self._speaking.cancel()
            await asyncio.wait({self._speaking})

    async def until(self, event: str, timeout: float = 20.0) -> Event:
        """Return the first event of this kind, waiting for it."""
        async with asyncio.timeout(timeout):
            while True:
                self._more.clear()
                for seen in self.log + self.others:
                    if seen["event"] == event:
                        return seen
                assert not self.ended, f"the connection ended before {event}"
                await self._more.wait()

    async def until_end(self, timeout: float = 20.0) -> None:
        """Return once the connection has ended."""
        async with asyncio.timeout(timeout):
            while not self.ended:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def call(
    url: str, *, reading: bool = True, key: str | None = None, port: int | None = None, **start: Any
) -> AsyncIterator[Caller]:
    """Connect to the gateway at ``url`` and start a session with the fields of ``start``.

    ``port`` is that of the client, by which the kernel picks one of several workers.
    """
    headers = {"Authorization": f"Bearer {key}"} if key is not None else None
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    connector = aiohttp.TCPConnector(local_addr=None if port is None else ("127.0.0.1", port))
    async with aiohttp.ClientSession(timeout=timeout, headers=headers, connector=connector) as http:
        socket = await http.ws_connect(f"{url}{PATH}?protocol=2", max_msg_size=1 << 24)
        caller = Caller(socket)
        task = asyncio.create_task(caller.read() if reading else asyncio.sleep(0))
        try:
            await caller.send("start", **start)
            yield caller
        finally:
            await caller.break_off()
            with suppress(ConnectionError):
                await socket.close()
            task.cancel()
            await asyncio.wait({task})
