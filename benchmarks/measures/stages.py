"""What each part of sttgate costs: everything on, and then without one thing after the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.bench import Effort, Result, in_turn, peers, say, side_by_side
from benchmarks.figures import Figure
from benchmarks.measures.chunks import SIZES_MS, ratio
from benchmarks.run import Cost, measure
from benchmarks.servers import Maker, aiohttp_relay, sttgate

_ALL = "sttgate, everything on"


def _no_access(config: dict[str, Any]) -> None:
    config["access"]["required"] = False


def _no_limits(config: dict[str, Any]) -> None:
    config["limits"] = {"idle_s": None, "max_session_s": None}


def _no_sync(config: dict[str, Any]) -> None:
    config["spool"]["sync_interval_s"] = 0


def _echo(config: dict[str, Any]) -> None:
    config["providers"], config["chain"] = {"echo": {}}, ["echo"]


VARIANTS: Mapping[str, Callable[..., Any]] = {
    _ALL: sttgate,
    "without access control": partial(sttgate, change=_no_access),
    "without limits": partial(sttgate, change=_no_limits),
    "without fdatasync": partial(sttgate, change=_no_sync),
    "without storing words and audio": partial(
        sttgate, start={"store": {"transcript": False, "audio": False}}
    ),
    "without interims": partial(sttgate, start={"interim_results": False}),
    "protocol 1 instead of 2": partial(sttgate, protocol=1),
    "without the upstream (echo)": partial(sttgate, change=_echo),
}


def _makers() -> dict[str, Maker]:
    bare: dict[str, Maker] = {
        "aiohttp, receiving only": partial(aiohttp_relay, sink=True, name="aiohttp, receiving only")
    }
    return (
        peers("nginx relay", "aiohttp relay", "aiohttp recorder")
        | bare
        | {name: partial(make, name=name) for name, make in VARIANTS.items()}
    )


async def run(effort: Effort) -> Result:
    """Return CPU for a chunk with each variant, and what is saved against everything on."""
    costs: dict[int, dict[str, list[Cost]]] = {size: defaultdict(list) for size in SIZES_MS}
    rounds = min(effort.rounds, 2)
    with side_by_side(_makers()) as servers:
        for number, server in in_turn(servers, rounds):
            for size in SIZES_MS:
                cost = await measure(server, effort.sessions, size, effort.seconds)
                costs[size][server.name].append(cost)
                say(f"round {number + 1}, {size} ms, {server.name}: {cost.cpu_us:.0f} µs a chunk")
    return {
        "sessions": effort.sessions,
        "rounds": rounds,
        "sizes": {str(size): _table(costs[size]) for size in SIZES_MS},
    }


def _table(costs: Mapping[str, list[Cost]]) -> Result:
    table: Result = {}
    for name, rounds in costs.items():
        saved = [full.cpu_us - cost.cpu_us for full, cost in zip(costs[_ALL], rounds, strict=True)]
        table[name] = {
            "cpu_us": Figure.of([cost.cpu_us for cost in rounds]).plain(),
            "saved_us": Figure.of(saved).plain(),
            "times_all": ratio(rounds, costs[_ALL]).plain(),
        }
    return table
