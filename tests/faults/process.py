"""Real servers: ``sttgate serve`` as a process that can be killed, frozen and started again."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.faults.patience import until

ENGINES = Path(__file__).parent / "engines"
_START_TIMEOUT = 30.0
_BANNER = re.compile(r"sttgate is ready at (http://\S+)")


class Server:
    """One folder with configuration, spool and stores, and at most one process that serves it."""

    def __init__(self, folder: Path, **sections: object) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.url = ""
        self.spool = folder / "data" / "spool"
        self.database = folder / "data" / "sttgate.db"
        self.recordings = folder / "recordings"
        self.log = folder / "server.log"
        self._config = folder / "config.yaml"
        self._offset = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(**sections)

    def configure(self, **sections: object) -> None:
        """Write a configuration for the next start."""
        content: dict[str, object] = {
            "server": {"port": 0},
            "providers": {"parrot": {}},
            "chain": ["parrot"],
            "plugins": {"dirs": [str(ENGINES)]},
            "spool": {"min_free_mb": 0},
        }
        self._config.write_text(yaml.safe_dump(content | sections), encoding="utf-8")

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def launch(self, *arguments: str) -> None:
        """Start the process without waiting for it."""
        environment = {
            name: value for name, value in os.environ.items() if "STTGATE" not in name.upper()
        }
        environment.pop("DEEPGRAM_API_KEY", None)
        with open(self.log, "ab") as output:
            self._offset = output.tell()
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "sttgate",
                    "serve",
                    "--config",
                    str(self._config),
                    *arguments,
                ],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    async def start(self, *arguments: str) -> None:
        """Start the process and return once it serves."""
        self.launch(*arguments)
        await until(lambda: self.serves() or not self.running, _START_TIMEOUT)
        assert self.serves(), f"the server did not start:\n{self.said()}"

    def serves(self) -> bool:
        """Whether the process serves; ``url`` is where."""
        ready = _BANNER.search(self.said())
        if ready is not None:
            self.url = ready[1]
        return ready is not None

    def said(self) -> str:
        """Return what the running process has logged."""
        return self.log.read_bytes()[self._offset :].decode()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """Kill the process with -9."""
        self.signal(signal.SIGKILL)
        await self.exited(10)

    async def exited(self, timeout: float) -> int:
        """Return the exit code once the process has ended."""
        assert self._process is not None
        process = self._process
        await until(lambda: process.poll() is not None, timeout, every=0.01)
        return process.wait()

    async def get(self, path: str) -> tuple[int, Any]:
        """Return the status and the JSON of a page."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(self.url + path) as response,
        ):
            return response.status, await response.json(content_type=None)

    async def stored(self, session_id: str, timeout: float = 20.0) -> dict[str, Any]:
        """Return a session once it is stored to its end."""
        body: dict[str, Any] = {}

        async def look() -> bool:
            nonlocal body
            status, body = await self.get(f"/api/v1/sessions/{session_id}")
            return status == 200 and body["state"] != "active"

        await until(look, timeout, every=0.05)
        return body

    async def recording(self, session_id: str) -> bytes:
        """Return a stored recording."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.url}/api/v1/sessions/{session_id}/audio") as response,
        ):
            assert response.status == 200
            return await response.read()

    async def idle(self, timeout: float = 20.0) -> None:
        """Return once no session is left, not even in the spool."""

        async def look() -> bool:
            _, body = await self.get("/readyz")
            return not body["sessions"] and not any(self.spool.iterdir())

        await until(look, timeout, every=0.05)

    def memory(self) -> float:
        """Return the resident memory of the process in MiB."""
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found is not None
        return int(found[1]) / 1024

    def descriptors(self) -> int:
        """Return how many files and sockets the process has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        """Return how many threads the process has."""
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def put_away(self) -> None:
        """Kill the process if it still lives."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()


class Servers:
    """Makes servers and sees that none outlives the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Server] = []

    def __call__(self, **sections: object) -> Server:
        """Return a server, not yet started, with these sections in its configuration."""
        server = Server(self._folder / f"server{len(self._made)}", **sections)
        self._made.append(server)
        return server

    def put_away(self) -> None:
        """Kill what still lives."""
        for server in self._made:
            server.put_away()
