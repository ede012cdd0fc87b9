"""A TCP relay that can be made to misbehave while connections are open."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass, replace
from typing import Literal, Self

Mode = Literal["pass", "blackhole", "freeze", "half_open", "garbage", "duplicate"]
_BLOCK = 16 * 1024


@dataclass(frozen=True, slots=True)
class Weather:
    """How bytes are carried.

    ``mode``: ``blackhole`` takes bytes and drops them, ``freeze`` does not read at all, ``half_open``
    is a black hole that hides the end of either side from the other too, ``garbage`` flips bits,
    ``duplicate`` sends each block twice. ``latency``: seconds for each block. ``rate``: bytes a
    second, None for any. ``refuse``: new connections are reset.
    """

    mode: Mode = "pass"
    latency: float = 0.0
    rate: float | None = None
    refuse: bool = False


class FaultProxy:
    """Relays ``port`` to ``target`` (both on loopback); change its ``weather`` at any time."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.weather = Weather()
        self.accepted = 0
        self.refused = 0
        self._target = target
        self._changed = asyncio.Event()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """How many connections are relayed."""
        return len(self._links)

    def set(self, mode: Mode = "pass", **changes: object) -> None:
        """Change the weather for connections that are open and those to come."""
        self.weather = replace(Weather(mode), **changes)  # type: ignore[arg-type]
        self._changed.set()
        self._changed = asyncio.Event()

    def cut(self, how: Literal["reset", "fin"] = "reset") -> None:
        """End all open connections: at once and with an error, or in order."""
        for link in list(self._links):
            link.cut(how)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.weather.refuse:
            self.refused += 1
            _reset(writer)
            return
        try:
            far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            self.refused += 1
            _reset(writer)
            return
        self.accepted += 1
        link = _Link(writer, far[1])
        self._links.add(link)
        pumps = [
            asyncio.create_task(self._pump(reader, far[1])),
            asyncio.create_task(self._pump(far[0], writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.wait(pumps)
            self._links.discard(link)
            link.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction until either side ends."""
        try:
            while True:
                await self._until_not("freeze")
                data = await reader.read(_BLOCK)
                if self.weather.mode == "freeze":
                    await self._until_not("freeze")
                if not data:
                    await self._until_not("half_open")
                    return
                await self._carry(data, writer)
        except ConnectionError:
            await self._until_not("half_open")

    async def _carry(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        weather = self.weather
        if weather.latency or weather.rate:
            await asyncio.sleep(weather.latency + len(data) / (weather.rate or float("inf")))
        match self.weather.mode:
            case "blackhole" | "half_open":
                return
            case "garbage":
                data = bytes(byte ^ 0x55 for byte in data)
            case "duplicate":
                data += data
        writer.write(data)
        await writer.drain()

    async def _until_not(self, mode: Mode) -> None:
        while self.weather.mode == mode:
            await self._changed.wait()


class _Link:
    """The two sockets of a connection."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self._writers = writers

    def cut(self, how: Literal["reset", "fin"]) -> None:
        for writer in self._writers:
            if how == "reset":
                _reset(writer)
            else:
                writer.close()

    def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST instead of a FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
