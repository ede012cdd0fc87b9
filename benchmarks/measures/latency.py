"""What the server adds to the way of a word: from the end of its audio to its transcript."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.bench import Effort, Result, in_turn, say, side_by_side
from benchmarks.figures import Figure
from benchmarks.measures.chunks import total_wrong
from benchmarks.run import Cost, measure
from benchmarks.servers import PEERS

SESSIONS = 100


async def run(effort: Effort) -> Result:
    """Return p50 and p99 of each server at 100 sessions, and what sttgate adds over nginx."""
    costs: dict[str, list[Cost]] = defaultdict(list)
    rounds = min(effort.rounds, 3)
    with side_by_side(PEERS) as servers:
        for number, server in in_turn(servers, rounds):
            cost = await measure(server, SESSIONS, 100, effort.seconds)
            costs[server.name].append(cost)
            say(
                f"round {number + 1}, {server.name}:"
                f" p50 {cost.p50_ms:.2f} ms, p99 {cost.p99_ms:.2f} ms"
            )
    table: Result = {}
    for name, some in costs.items():
        table[name] = {
            "p50_ms": Figure.of([cost.p50_ms for cost in some]).plain(),
            "p99_ms": Figure.of([cost.p99_ms for cost in some]).plain(),
            "load_late_p99_ms": Figure.of([cost.late_p99_ms for cost in some]).plain(),
            "wrong": total_wrong(some),
        }
        for share in ("p50_ms", "p99_ms"):
            if "nginx relay" in costs:
                added = [
                    getattr(mine, share) - getattr(nginx, share)
                    for mine, nginx in zip(some, costs["nginx relay"], strict=True)
                ]
                table[name][f"added_{share}"] = Figure.of(added).plain()
    return {"sessions": SESSIONS, "rounds": rounds, "servers": table}
