"""Whether a chunk costs more beside many sessions, or late in a long one."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from benchmarks import callers
from benchmarks.bench import Effort, Result, in_turn, peers, say, side_by_side
from benchmarks.callers import PATIENCE, Caller, Heard
from benchmarks.figures import Figure
from benchmarks.measures.stop import AHEAD_BYTES
from benchmarks.run import Cost, chunk_bytes, measure
from benchmarks.servers import Server

COUNTS = (1, 10, 100, 300)
SIZE_MS = 100
HOURS = 10
PAIRS = 10
_IDLE_NS = 20_000_000  # in half a second, with a session that is silent


async def run(effort: Effort) -> Result:
    """Return CPU for a chunk by the number of sessions, and in the last minutes over the first."""
    counts = COUNTS[:2] if effort.quick else COUNTS
    rounds = min(effort.rounds, 2)
    costs: dict[str, dict[int, list[Cost]]] = defaultdict(lambda: defaultdict(list))
    with side_by_side(peers("nginx relay", "sttgate")) as servers:
        for count in counts:
            for _, server in in_turn(servers, rounds):
                # One session alone says little in a few seconds.
                seconds = effort.seconds * (3 if count < 10 else 1)
                cost = await measure(server, count, SIZE_MS, seconds)
                costs[server.name][count].append(cost)
                say(
                    f"{server.name}, {count} sessions: {cost.cpu_us:.0f} µs a chunk,"
                    f" p99 {cost.p99_ms:.1f} ms, stop p99 {cost.stop_p99_ms:.1f} ms"
                )
        hours = 0.2 if effort.quick else HOURS
        late = await _long_session(next(s for s in servers if s.name == "sttgate"), hours)
    return {
        "chunk_ms": SIZE_MS,
        "rounds": rounds,
        "servers": {
            name: {
                str(count): {
                    "cpu_us": Figure.of([cost.cpu_us for cost in some]).plain(),
                    "p99_ms": Figure.of([cost.p99_ms for cost in some]).plain(),
                    "stop_p99_ms": Figure.of([cost.stop_p99_ms for cost in some]).plain(),
                }
                for count, some in by_count.items()
            }
            for name, by_count in costs.items()
        },
        "long": late,
    }


async def _long_session(server: Server, hours: float) -> Result:
    """Return CPU for a chunk in the last minutes of a session of ``hours``, and in a first minute.

    Sent as fast as it is answered. Minutes of both kinds take turns, so that a busy machine is busy
    for both.
    """
    heard = Heard()
    (old,) = await callers.connect(server, heard, 1, chunk_bytes(SIZE_MS))
    await callers.start([old])
    await callers.speak_fast(old, 3600 * hours - 60 * PAIRS, AHEAD_BYTES)
    say(f"{old.sent_bytes / 32_000 / 3600:.1f} hours sent")
    first, last = [], []
    for _ in range(PAIRS):
        (new,) = await callers.connect(server, heard, 1, chunk_bytes(SIZE_MS))
        await callers.start([new])
        first.append(await _minute(server, new))
        last.append(await _minute(server, old))
        await callers.stop([new], interims=False)
        new.close()
    await _quiet(server)
    (stop,) = await callers.stop([old], interims=False)
    old.close()
    if heard.wrong:
        say(f"WRONG: {heard.wrong}")
    result = {
        "hours": hours,
        "pairs": PAIRS,
        "first_us": Figure.of(first).plain(),
        "last_us": Figure.of(last).plain(),
        "last_over_first": Figure.of([b / a for a, b in zip(first, last, strict=True)]).plain(),
        "stop_ms": round(1000 * stop, 1),
        "wrong": heard.wrong,
    }
    say(f"after {hours} h: {result}")
    return result


async def _quiet(server: Server) -> None:
    """Wait until the store has caught up: so many words an hour nobody says."""
    async with asyncio.timeout(PATIENCE):
        busy = True
        while busy:
            before = server.program.cpu_ns()
            await asyncio.sleep(0.5)
            busy = server.program.cpu_ns() - before > _IDLE_NS


async def _minute(server: Server, voice: Caller) -> float:
    """Return microseconds of CPU for each chunk of the next minute of a session."""
    before, sent = server.program.cpu_ns(), voice.sent_bytes
    await callers.speak_fast(voice, 60.0, AHEAD_BYTES)
    chunks = (voice.sent_bytes - sent) / voice.chunk_bytes
    return (server.program.cpu_ns() - before) / 1000 / chunks
