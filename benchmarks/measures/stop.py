"""How long `stop` takes after 1, 10 and 60 minutes of audio, and what others feel meanwhile."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from benchmarks import callers
from benchmarks.bench import Effort, Result, in_turn, peers, say, side_by_side
from benchmarks.callers import Heard
from benchmarks.figures import Figure
from benchmarks.run import chunk_bytes, speaking
from benchmarks.servers import Server

MINUTES = (1, 10, 60)
BYSTANDERS = 10
AHEAD_BYTES = (
    12_800  # 0.4 s: more would count as a backlog, which is sent on at 1.25 times real time
)


async def run(effort: Effort) -> Result:
    """Return milliseconds for each server and length: of the stop, and of the worst wait beside it."""
    minutes = MINUTES[:2] if effort.quick else MINUTES
    took: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    worst: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with side_by_side(peers("sttgate", "FastAPI + SDK")) as servers:
        for number, server in in_turn(servers, 1 if effort.quick else 3):
            for length in minutes:
                stop_ms, worst_ms = await _measure(server, length)
                took[server.name][length].append(stop_ms)
                worst[server.name][length].append(worst_ms)
                say(
                    f"round {number + 1}, {server.name}, {length} min: stopped after"
                    f" {stop_ms:.1f} ms, others waited {worst_ms:.1f} ms at most"
                )
    return {
        "bystanders": BYSTANDERS,
        "servers": {
            name: {
                str(length): {
                    "stop_ms": Figure.of(stops).plain(),
                    "others_worst_ms": Figure.of(worst[name][length]).plain(),
                }
                for length, stops in lengths.items()
            }
            for name, lengths in took.items()
        },
    }


async def _measure(server: Server, minutes: int) -> tuple[float, float]:
    """Return how long the stop took and the worst latency of bystanders around it, in ms."""
    heard, others = Heard(), Heard()
    (voice,) = await callers.connect(server, heard, 1, chunk_bytes(100))
    await callers.start([voice])
    await callers.speak_fast(voice, 60.0 * minutes, AHEAD_BYTES)
    beside = await callers.connect(server, others, BYSTANDERS, chunk_bytes(20))
    await callers.start(beside)
    async with speaking(beside, 20):
        await asyncio.sleep(1.5)
        others.recording = True
        (took,) = await callers.stop([voice], interims=False)
        await asyncio.sleep(1.0)
        others.recording = False
    await callers.stop(beside)
    for caller in (voice, *beside):
        caller.close()
    if wrong := heard.wrong | others.wrong:
        say(f"WRONG: {server.name}: {wrong}")
    return 1000 * took, 1000 * max(others.latencies)
