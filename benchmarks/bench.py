"""What all measurements share: the upstream, servers side by side, rounds that take turns."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import Program, cores
from benchmarks.servers import PEERS, Maker, Server, missing, upstream

Result = dict[str, Any]
"""What a measurement returns, to be kept as JSON."""


@dataclass(frozen=True)
class Effort:
    """How long it may take. ``quick`` shows that everything works; its figures are rough."""

    quick: bool = False
    rounds: int = 5
    seconds: float = 5.0
    sessions: int = 60

    @classmethod
    def little(cls) -> Effort:
        """Return the effort of ``--quick``."""
        return cls(quick=True, rounds=2, seconds=2.5, sessions=30)


@contextmanager
def side_by_side(makers: Mapping[str, Maker], *, hurry: bool = True) -> Iterator[list[Server]]:
    """Run servers and the upstream, all at once; meanwhile this process is off the servers' core.

    ``hurry`` has all of them go before whatever else the machine does: a server that waits for a core
    does more at a time when it gets one, and looks cheaper than it is.
    """
    servers = []
    absent = missing()
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores()[1])
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, mine)
        address, fake = stack.enter_context(upstream())
        for name, make in makers.items():
            if name in absent:
                say(f"{name} is left out: {absent[name]}")
                continue
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
            servers.append(stack.enter_context(make(address, folder)))
        if hurry:
            before = os.sched_getscheduler(0), os.sched_getparam(0)
            stack.callback(os.sched_setscheduler, 0, *before)
            programs = [Program(os.getpid()), fake, *(server.program for server in servers)]
            if not all([program.hurry() for program in programs]):
                say("no right to go before others: on a busy machine the figures will be rough")
        yield servers


def peers(*names: str) -> dict[str, Maker]:
    """Return some of the servers of the main table."""
    return {name: PEERS[name] for name in names}


def in_turn(servers: list[Server], rounds: int) -> Iterator[tuple[int, Server]]:
    """Yield each server once a round, in another order each time: no one always follows the same."""
    for number in range(rounds):
        at = number % len(servers)
        for server in servers[at:] + servers[:at]:
            yield number, server


def say(line: str) -> None:
    """Tell whoever waits how far it is."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
