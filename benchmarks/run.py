"""One run: so many callers of one server for so many seconds, and what that cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from benchmarks import callers
from benchmarks.callers import Caller, Heard
from benchmarks.figures import percentile
from benchmarks.servers import Server
from benchmarks.upstream import BYTES_PER_SECOND

WAV_HEADER_BYTES = 44
SCRAPE_SECONDS = 5.0


@dataclass(frozen=True)
class Cost:
    """What a run cost the server, per chunk of audio, and what its callers felt."""

    sessions: int
    cpu_us: float
    busy: float  # of one core
    waited: float  # share of the time in which it had work and no core
    p50_ms: float
    p99_ms: float
    stop_p99_ms: float
    late_p99_ms: float  # of the load itself: how late its own timer fires
    wrong: dict[str, int]

    @property
    def sessions_per_core(self) -> float:
        """How many such sessions would use one core up."""
        return self.sessions / self.busy


def chunk_bytes(chunk_ms: float) -> int:
    """Return the size of a chunk of 16 kHz mono PCM."""
    return int(chunk_ms * BYTES_PER_SECOND / 1000)


@asynccontextmanager
async def speaking(voices: Sequence[Caller], chunk_ms: float) -> AsyncIterator[None]:
    """Have callers speak in real time meanwhile."""
    quiet = asyncio.Event()
    task = asyncio.create_task(callers.speak_in_real_time(voices, chunk_ms, quiet))
    try:
        yield
    finally:
        quiet.set()
        await task


@asynccontextmanager
async def scraped(server: Server) -> AsyncIterator[None]:
    """Ask for the server's metrics now and then, as Prometheus does."""

    async def scrape() -> None:
        while server.metrics is not None:
            await get(server, server.metrics)
            await asyncio.sleep(SCRAPE_SECONDS)

    task = asyncio.create_task(scrape())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def get(server: Server, path: str) -> bytes:
    """Return the whole answer to a GET."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    extra = "".join(f"{name}: {value}\r\n" for name, value in server.headers.items())
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{extra}\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    status = answer.partition(b"\r\n")[0].decode()
    if " 200 " not in status:
        raise RuntimeError(f"{server.name}: GET {path}: {status}")
    return answer


async def measure(
    server: Server, sessions: int, chunk_ms: float, seconds: float, warm_up: float = 1.5
) -> Cost:
    """Run ``sessions`` callers; measure ``seconds`` of it, after ``warm_up`` seconds."""
    heard = Heard()
    kept = set(server.recordings.rglob("*.wav")) if server.recordings else set()
    voices = await callers.connect(server, heard, sessions, chunk_bytes(chunk_ms))
    await callers.start(voices)
    callers.settle_memory()
    async with scraped(server):
        async with speaking(voices, chunk_ms):
            await asyncio.sleep(warm_up)
            before, sent = server.program.cpu_ns(), _sent(voices)
            waited = server.program.waited_ns()
            began, heard.recording = time.perf_counter(), True
            lateness = await _lateness(seconds)
            heard.recording = False
            cpu = server.program.cpu_ns() - before
            waited = server.program.waited_ns() - waited
            took, chunks = time.perf_counter() - began, _sent(voices) - sent
        await asyncio.sleep(0.3)
        stops = await callers.stop(voices)
    for voice in voices:
        voice.close()
    await asyncio.sleep(0.5)  # what is left to do is not the next one's
    if server.recordings is not None:
        sizes = sorted(
            path.stat().st_size - WAV_HEADER_BYTES
            for path in set(server.recordings.rglob("*.wav")) - kept
        )
        if sizes != sorted(voice.sent_bytes for voice in voices):
            heard.wrong_recordings += 1
    return Cost(
        sessions=sessions,
        cpu_us=cpu / 1000 / chunks,
        busy=cpu / 1e9 / took,
        waited=waited / 1e9 / took,
        p50_ms=1000 * percentile(heard.latencies, 0.5),
        p99_ms=1000 * percentile(heard.latencies, 0.99),
        stop_p99_ms=1000 * percentile(stops, 0.99),
        late_p99_ms=1000 * percentile(lateness, 0.99),
        wrong=heard.wrong,
    )


async def measure_together(
    servers: Sequence[Server], sessions: int, chunk_ms: float, seconds: float, warm_up: float = 1.0
) -> tuple[dict[str, float], Heard]:
    """Run callers of several servers at the same time; return microseconds of CPU for each's chunk.

    Whatever else the machine does slows all of them, so that ratios can be trusted sooner. What is
    wrong is in the second value.
    """
    heard, voices = Heard(), {}
    for server in servers:
        voices[server] = await callers.connect(server, heard, sessions, chunk_bytes(chunk_ms))
        await callers.start(voices[server])
    async with AsyncExitStack() as stack:
        for some in voices.values():
            await stack.enter_async_context(speaking(some, chunk_ms))
        await asyncio.sleep(warm_up)
        before = {server: (server.program.cpu_ns(), _sent(voices[server])) for server in servers}
        await asyncio.sleep(seconds)
        costs = {}
        for server, (cpu, sent) in before.items():
            chunks = _sent(voices[server]) - sent
            costs[server.name] = (server.program.cpu_ns() - cpu) / 1000 / chunks
    await asyncio.sleep(0.3)
    for some in voices.values():
        await callers.stop(some)
        for voice in some:
            voice.close()
    return costs, heard


def _sent(voices: Sequence[Caller]) -> int:
    return sum(voice.sent_bytes // voice.chunk_bytes for voice in voices)


async def _lateness(seconds: float) -> list[float]:
    """Wait ``seconds``; return by how much each of many short sleeps was too long."""
    clock = time.perf_counter
    end, late = clock() + seconds, []
    while (now := clock()) < end:
        await asyncio.sleep(0.02)
        late.append(max(0.0, clock() - now - 0.02))
    return late
