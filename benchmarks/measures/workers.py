"""Whether two processes carry twice what one does: CPU for a chunk, with the same sessions for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.bench import Effort, Result, in_turn, say, side_by_side
from benchmarks.figures import Figure
from benchmarks.measures.chunks import total_wrong
from benchmarks.run import Cost, measure
from benchmarks.servers import Maker, sttgate

SIZE_MS = 20
WORKERS = 2


def _several(config: dict[str, Any]) -> None:
    config["server"]["workers"] = WORKERS


ONE, TWO = "one process", f"{WORKERS} workers"
MAKERS: Mapping[str, Maker] = {
    ONE: partial(sttgate, name=ONE),
    TWO: partial(sttgate, name=TWO, change=_several),
}


async def run(effort: Effort) -> Result:
    """Return CPU for a chunk of both, and how many times the sessions the workers take.

    All share a core here, so the workers cannot be loaded to their ends side by side: what a
    machine takes follows from the CPU that the same session needs.
    """
    costs: dict[str, list[Cost]] = defaultdict(list)
    # The two figures differ by less than one round's noise, so it takes many.
    rounds = effort.rounds if effort.quick else max(effort.rounds, 9)
    with side_by_side(MAKERS) as servers:
        for number, server in in_turn(servers, rounds):
            sessions = effort.sessions * (WORKERS if server.name == TWO else 1)
            cost = await measure(server, sessions, SIZE_MS, effort.seconds)
            costs[server.name].append(cost)
            say(f"round {number + 1}, {server.name}: {cost.cpu_us:.0f} µs a chunk")
    pairs = zip(costs[ONE], costs[TWO], strict=True)
    return {
        "workers": WORKERS,
        "rounds": rounds,
        "chunk_ms": SIZE_MS,
        "servers": {
            name: {
                "sessions": some[0].sessions,
                "cpu_us": Figure.of([cost.cpu_us for cost in some]).plain(),
                "wrong": total_wrong(some),
            }
            for name, some in costs.items()
        },
        "times_one": Figure.of([WORKERS * a.cpu_us / b.cpu_us for a, b in pairs]).plain(),
    }
