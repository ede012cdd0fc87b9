"""Memory for a connection that is idle, for a session that streams, and whether that grows."""

from __future__ import annotations

import asyncio

from benchmarks import callers
from benchmarks.bench import Effort, Result, say, side_by_side
from benchmarks.callers import Heard
from benchmarks.figures import significant
from benchmarks.run import chunk_bytes, measure, speaking
from benchmarks.servers import PEERS, Server

SESSIONS = 100
_SETTLE_SECONDS = 1.0


async def run(effort: Effort) -> Result:
    """Return KiB for each connection, for each session, and for each second of its audio."""
    table: Result = {}
    with side_by_side(PEERS) as servers:
        for server in servers:
            table[server.name] = await _measure(
                server, *((3.0, 5.0) if effort.quick else (15.0, 25.0))
            )
            say(f"{server.name}: {table[server.name]} KiB")
    return {"sessions": SESSIONS, "servers": table}


async def _measure(server: Server, settle: float, seconds: float) -> Result:
    await measure(server, 10, 100, 1.0)  # what is made once, for the first ones
    empty = server.program.memory_kib()
    voices = await callers.connect(server, Heard(), SESSIONS, chunk_bytes(100))
    await asyncio.sleep(_SETTLE_SECONDS)
    idle = server.program.memory_kib()
    await callers.start(voices)
    async with speaking(voices, 100):
        await asyncio.sleep(settle)
        streaming = server.program.memory_kib()
        await asyncio.sleep(seconds)
        later = server.program.memory_kib()
    await callers.stop(voices)
    for voice in voices:
        voice.close()
    return {
        "idle_kib": significant((idle - empty) / SESSIONS),
        "streaming_kib": significant((streaming - empty) / SESSIONS),
        "growth_kib_per_s": significant((later - streaming) / SESSIONS / seconds, 3),
    }
