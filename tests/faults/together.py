"""A server with several workers, and which of them serves whom."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from sttgate.access.keys import KeyFile
from sttgate.access.principal import SCOPES
from tests.faults.caller import Caller, call
from tests.faults.process import Server

_ATTEMPTS = 200  # connections until the kernel has picked a certain worker


class Together:
    """What can be asked of a server with workers; ``key`` may do everything."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.keys = KeyFile(server.folder / "data" / "keys.json")
        _, self.key = self.keys.create("all", SCOPES)

    @property
    def workers(self) -> Mapping[int, int]:
        """The processes by their numbers, those that began last."""
        lines = [json.loads(line) for line in self.server.said().splitlines() if line[:1] == "{"]
        return {line["worker"]: line["pid"] for line in lines if line["event"] == "worker_ready"}

    @asynccontextmanager
    async def call(
        self, worker: int, *, key: str | None = None, **start: Any
    ) -> AsyncIterator[Caller]:
        """Call this worker, by its number."""
        port = await self._port_to(worker)
        async with call(self.server.url, key=key or self.key, port=port, **start) as caller:
            yield caller

    @asynccontextmanager
    async def http(self, worker: int, *, key: str | None = None) -> AsyncIterator[Http]:
        """Return a client with one connection, to this worker."""
        async with aiohttp.ClientSession(
            self.server.url,
            headers={"Authorization": f"Bearer {key or self.key}"},
            connector=aiohttp.TCPConnector(
                limit=1, local_addr=("127.0.0.1", await self._port_to(worker))
            ),
        ) as http:
            async with http.get("/livez"):  # from now on the port is taken
                pass
            yield Http(http)

    async def _port_to(self, worker: int) -> int:
        """Return a port from which a connection goes to this worker."""
        for _ in range(_ATTEMPTS):
            with socket.socket() as probe:
                # Closed by a reset, it leaves the port free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                probe.bind(("127.0.0.1", 0))
                probe.connect(("127.0.0.1", URL(self.server.url).port))
                port = int(probe.getsockname()[1])
                for _ in range(100):  # a worker that dies just now never accepts it
                    if (accepted := self._accepted(port)) is not None:
                        break
                    await asyncio.sleep(0.01)
                if accepted == worker:
                    return port
        raise AssertionError(f"worker {worker} is never asked")

    def _accepted(self, port: int) -> int | None:
        """Return which worker has the other end of a connection, by the files it has open."""
        lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        inodes = [f[9] for f in map(str.split, lines) if f[2].endswith(f":{port:04X}")]
        for number, pid in self.workers.items():
            with suppress(OSError):
                for file in Path(f"/proc/{pid}/fd").iterdir():
                    with suppress(OSError):
                        if inodes and os.readlink(file) == f"socket:[{inodes[0]}]":
                            return number
        return None


class Http:
    """A client of one worker."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        async with self.session.request(method, path, **options) as response:
            return response.status, await response.json(content_type=None)

    async def figures(self) -> dict[str, float]:
        """Return the metrics by name and labels."""
        async with self.session.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}
