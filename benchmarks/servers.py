"""The servers that are compared, and how each is set up.

Each gets a folder of its own, the address of the upstream, and a core that it does not share with
what measures it.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.processes import Program, cores, free_port, python, running
from sttgate.access.keys import KeyFile

Wire = Literal["sttgate", "deepgram"]
"""What a client speaks: sttgate's protocol, or Deepgram's through a relay."""


@dataclass(frozen=True, eq=False)
class Server:
    """A server that runs: where, how to talk to it, and its process."""

    name: str
    port: int
    path: str
    wire: Wire
    program: Program
    headers: Mapping[str, str] = field(default_factory=dict)
    start: Mapping[str, object] = field(default_factory=dict)
    metrics: str | None = None
    recordings: Path | None = None
    says_started: bool = False


Maker = Callable[[str, Path], Any]
"""Given the upstream's address and an empty folder, a context manager that yields a Server."""


@contextmanager
def upstream() -> Iterator[tuple[str, Program]]:
    """Run the fake of Deepgram's live API; yield its address and its process."""
    port = free_port()
    _, ours = cores()
    with running(python("benchmarks.upstream", "--port", port), port, pinned=ours) as program:
        yield f"http://127.0.0.1:{port}", program


def everything_on(address: str, folder: Path) -> dict[str, Any]:
    """Return the configuration that is measured: access, limits, spool, both stores, all on."""
    return {
        "server": {"port": free_port(), "max_sessions": 5000},
        "providers": {"deepgram": {"api_key": "benchmark", "base_url": address}},
        "chain": ["deepgram"],
        "transcripts": {"use": "sqlite", "path": str(folder / "sttgate.db")},
        "recordings": {"use": "files", "path": str(folder / "recordings")},
        "spool": {"path": str(folder / "spool"), "sync_interval_s": 1.0},
        "access": {
            "required": True,
            "keys": str(folder / "keys.json"),
            "secret": str(folder / "access.secret"),
        },
        "limits": {
            "sessions_per_key": 5000,
            "sessions_per_address": 5000,
            "connects_per_minute": 100_000,
            "idle_s": 600,
            "max_session_s": 14_400,
            "max_speed": 10_000,
        },
        "uploads": {"path": str(folder / "uploads")},
        "log": {"level": "info", "format": "json"},
    }


@contextmanager
def sttgate(
    address: str,
    folder: Path,
    name: str = "sttgate",
    change: Callable[[dict[str, Any]], None] = lambda _: None,
    start: Mapping[str, object] = {},
    protocol: int = 2,
) -> Iterator[Server]:
    """Run ``sttgate serve`` with everything on, but for what ``change`` does to its configuration."""
    config = everything_on(address, folder)
    change(config)
    path = folder / "config.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    _, key = KeyFile(Path(config["access"]["keys"])).create("benchmark", ("admin",))
    headers = {"Authorization": f"Bearer {key}"}
    port = config["server"]["port"]
    with running(
        python("sttgate", "serve", "-c", path), port, pinned=cores()[0], cwd=folder
    ) as program:
        yield Server(
            name=name,
            port=port,
            path=f"/ws/v1/speech-to-text?protocol={protocol}",
            wire="sttgate",
            program=program,
            headers=headers,
            start=start,
            metrics="/metrics",
            recordings=folder / "recordings",
            says_started=protocol == 2,
        )


@contextmanager
def aiohttp_relay(
    address: str, folder: Path, name: str = "aiohttp relay", *, sink: bool = False
) -> Iterator[Server]:
    """Run a bare relay on aiohttp, or what only receives."""
    port = free_port()
    command = python("benchmarks.peers.relay", "--port", port, "--upstream", address)
    if sink:
        command.append("--sink")
    with running(command, port, pinned=cores()[0], cwd=folder) as program:
        yield Server(name, port, "/v1/listen", "deepgram", program)


@contextmanager
def recorder(address: str, folder: Path) -> Iterator[Server]:
    """Run the same job at its barest."""
    port = free_port()
    command = python(
        *("benchmarks.peers.recorder", "--port", port, "--upstream", address, "--folder", folder)
    )
    with running(command, port, pinned=cores()[0], cwd=folder) as program:
        yield Server("aiohttp recorder", port, "/ws", "sttgate", program, says_started=True)


@contextmanager
def obvious(address: str, folder: Path) -> Iterator[Server]:
    """Run the FastAPI design."""
    port = free_port()
    command = python(
        "benchmarks.peers.obvious",
        *("--port", port, "--folder", folder),
        # The SDK wants the scheme of the socket.
        *("--upstream", address.replace("http", "ws", 1)),
    )
    with running(command, port, pinned=cores()[0], cwd=folder) as program:
        yield Server("FastAPI + SDK", port, "/ws", "sttgate", program, says_started=True)


_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{
      proxy_pass {address}; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 1h;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
    }}
  }}
}}
"""


@contextmanager
def nginx(address: str, folder: Path) -> Iterator[Server]:
    """Run nginx as a bare relay."""
    port, path = free_port(), folder / "nginx.conf"
    path.write_text(_NGINX.format(folder=folder, port=port, address=address))
    command = [str(nginx_program()), "-c", str(path), "-p", str(folder), "-e", "stderr"]
    with running(command, port, pinned=cores()[0], cwd=folder) as program:
        yield Server("nginx relay", port, "/v1/listen", "deepgram", program)


def nginx_program() -> str | None:
    """Return where nginx is, if it is installed."""
    return shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def missing() -> dict[str, str]:
    """Return the peers that cannot run here, and why."""
    found = {}
    if nginx_program() is None:
        found["nginx relay"] = "nginx is not installed (Debian: apt install nginx-light)"
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn")):
        found["FastAPI + SDK"] = "fastapi and uvicorn are not installed (uv sync --group bench)"
    return found


PEERS: Mapping[str, Maker] = {
    "nginx relay": nginx,
    "aiohttp relay": aiohttp_relay,
    "aiohttp recorder": recorder,
    "sttgate": sttgate,
    "FastAPI + SDK": obvious,
}
"""The servers of the main table, the one that all are compared with first."""
