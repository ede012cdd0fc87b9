"""CPU for a chunk of audio, all servers side by side: the main table."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.bench import Effort, Result, in_turn, say, side_by_side
from benchmarks.figures import Figure
from benchmarks.run import Cost, measure
from benchmarks.servers import PEERS

SIZES_MS = (20, 100)


async def run(effort: Effort) -> Result:
    """Return for each size and server: CPU, ratios within a round, sessions per core, latency."""
    costs: dict[int, dict[str, list[Cost]]] = {size: defaultdict(list) for size in SIZES_MS}
    with side_by_side(PEERS) as servers:
        for number, server in in_turn(servers, effort.rounds):
            for size in SIZES_MS:
                cost = await measure(server, effort.sessions, size, effort.seconds)
                costs[size][server.name].append(cost)
                say(
                    f"round {number + 1}, {size} ms, {server.name}: {cost.cpu_us:.0f} µs a chunk,"
                    f" p99 {cost.p99_ms:.1f} ms, waited {cost.waited:.0%}{_complaint(cost)}"
                )
    return {
        "sessions": effort.sessions,
        "rounds": effort.rounds,
        "sizes": {str(size): _table(costs[size]) for size in SIZES_MS},
    }


def _complaint(cost: Cost) -> str:
    return f", WRONG: {cost.wrong}" if cost.wrong else ""


def _table(costs: dict[str, list[Cost]]) -> Result:
    table: Result = {}
    for name, rounds in costs.items():
        row: Result = {
            "cpu_us": Figure.of([cost.cpu_us for cost in rounds]).plain(),
            "sessions_per_core": Figure.of([cost.sessions_per_core for cost in rounds]).plain(),
            "p50_ms": Figure.of([cost.p50_ms for cost in rounds]).plain(),
            "p99_ms": Figure.of([cost.p99_ms for cost in rounds]).plain(),
            "stop_p99_ms": Figure.of([cost.stop_p99_ms for cost in rounds]).plain(),
            "waited": Figure.of([cost.waited for cost in rounds]).plain(),
            "wrong": total_wrong(rounds),
        }
        for other, beside in (("nginx", "nginx relay"), ("aiohttp", "aiohttp relay")):
            if beside in costs:
                row[f"times_{other}"] = ratio(rounds, costs[beside]).plain()
        if "FastAPI + SDK" in costs:
            row["sessions_times_fastapi"] = ratio(costs["FastAPI + SDK"], rounds).plain()
        table[name] = row
    return table


def ratio(upper: list[Cost], lower: list[Cost]) -> Figure:
    """Return CPU over CPU, round by round."""
    return Figure.of([a.cpu_us / b.cpu_us for a, b in zip(upper, lower, strict=True)])


def total_wrong(rounds: list[Cost]) -> dict[str, int]:
    """Return all that went wrong in the rounds."""
    total: dict[str, int] = defaultdict(int)
    for cost in rounds:
        for kind, count in cost.wrong.items():
            total[kind] += count
    return dict(total)
