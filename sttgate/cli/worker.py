"""``python -m sttgate.cli.worker FD``: a worker of ``sttgate serve --workers``, which starts it.

The descriptor is its end of the channel to the supervisor; the first line there is the assignment.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from sttgate.cli.failures import explain
from sttgate.cli.options import read_config
from sttgate.cli.running import run

if TYPE_CHECKING:
    from sttgate.config import Config
    from sttgate.gateway import Gateway


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is to serve; ``socket`` is where the others reach it."""

    number: int
    socket: str
    config_file: str | None
    overrides: dict[str, str]
    debug: bool


def spawn(assignment: Assignment, of: int) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a worker, one ``of`` so many; return its process and this end of the channel."""
    cores = max(1, len(os.sched_getaffinity(0)) // of)
    ours, theirs = socket.socketpair()
    with theirs:
        # Where the modules are found is where they were found here.
        safe = ["-P"] if sys.flags.safe_path or sys.path[0] != str(Path.cwd()) else []
        process = subprocess.Popen(
            [sys.executable, *safe, "-m", "sttgate.cli.worker", str(theirs.fileno())],
            env={"PYTHON_CPU_COUNT": str(cores), **os.environ},  # its share, for local models
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            process_group=0,  # Ctrl-C is for the supervisor
        )
    ours.sendall(msgspec.json.encode(assignment) + b"\n")
    return process, ours


def main() -> None:
    """Serve as the supervisor says; end with a sentence and an exit code as `sttgate` does."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    assignment = msgspec.json.decode(_line(channel), type=Assignment)
    try:
        _serve(assignment, channel)
    except Exception as error:
        if assignment.debug:
            raise
        sentence, code = explain(error)
        click.echo(sentence, err=True)
        sys.exit(code)


def _line(channel: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = channel.recv(1)
        if not byte:
            sys.exit(1)  # the supervisor is gone
        line += byte
    return line


def _serve(assignment: Assignment, channel: socket.socket) -> None:
    file = None if assignment.config_file is None else Path(assignment.config_file)
    config = read_config(file, assignment.overrides)
    run(
        _work(
            assignment,
            channel,
            config,
            lambda: read_config(config.path, assignment.overrides, config.plugins),
        ),
        level="debug" if assignment.debug else config.log.level,
        log_format=config.log.format,
        worker=assignment.number,
    )


async def _work(
    assignment: Assignment, channel: socket.socket, config: Config, load: Callable[[], Config]
) -> None:
    from sttgate.app import serve
    from sttgate.workers.link import Link

    link = Link(assignment.number, Path(assignment.socket))
    await link.open(channel)
    try:
        await serve(config, lambda *ready: link.ready(**about(*ready)), load, link)
    finally:
        await link.close()
        if link.lost:
            _clean_up(link.socket)


def _clean_up(socket: Path) -> None:
    """Remove what the supervisor would have removed; the last worker removes the folder."""
    with contextlib.suppress(OSError):
        socket.unlink(missing_ok=True)
        socket.parent.rmdir()


def about(gateway: Gateway, url: str, metrics: str | None) -> dict[str, Any]:
    """Return what the banner says of a gateway that serves at ``url``, its metrics perhaps elsewhere."""
    return {
        "url": url,
        "metrics": metrics,
        "chain": [provider.name for provider in gateway.chain],
        "skipped": {skipped.name: skipped.reason for skipped in gateway.skipped},
    }


if __name__ == "__main__":
    main()
