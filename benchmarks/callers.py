"""The load: callers who speak in real time, or as fast as they are answered, and check every word."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import time
from array import array
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from benchmarks.frames import BINARY, CLOSE, TEXT, FrameProtocol, frame
from benchmarks.servers import Server
from benchmarks.upstream import BYTES_PER_SECOND, INTERIM_BYTES, MARKER

T = TypeVar("T")
PATIENCE = 60.0  # seconds to wait for anything
_LISTEN = "encoding=linear16&sample_rate=16000&channels=1&interim_results=true&model=nova-3"
_AUDIO = random.Random(7).randbytes(BYTES_PER_SECOND)


@dataclass
class Heard:
    """What all callers of a run heard: seconds from a chunk to its transcript, and what is wrong."""

    latencies: array[float] = field(default_factory=lambda: array("d"))
    recording: bool = False
    transcripts: int = 0
    lost_bytes: int = 0
    lost_transcripts: int = 0
    lost_finals: int = 0
    disorder: int = 0
    wrong_recordings: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> dict[str, int]:
        """Return each kind of mistake that there is, and how often."""
        counts = {
            "lost bytes": self.lost_bytes,
            "lost transcripts": self.lost_transcripts,
            "lost finals": self.lost_finals,
            "out of order": self.disorder,
            "wrong recordings": self.wrong_recordings,
            "errors": len(self.errors),
        }
        return {name: count for name, count in counts.items() if count}


class Caller(FrameProtocol):
    """One session. Audio goes out in chunks of one size; what comes back is checked."""

    def __init__(self, server: Server, heard: Heard, chunk_bytes: int) -> None:
        super().__init__()
        loop = asyncio.get_running_loop()
        self._server = server
        self._heard = heard
        self.chunk_bytes = chunk_bytes
        self._frame = frame(
            BINARY, (_AUDIO * (chunk_bytes // len(_AUDIO) + 1))[:chunk_bytes], masked=True
        )
        self._native = server.wire == "sttgate"
        self._times = array("d")
        self._stopping = False
        self._finals: list[bytes] = []
        self._said = 0
        self.marked = 0  # bytes that the last transcript follows
        self.upgraded: asyncio.Future[None] = loop.create_future()
        self.started: asyncio.Future[None] = loop.create_future()
        self.stopped: asyncio.Future[bytes] = loop.create_future()
        self.moved = asyncio.Event()

    @property
    def sent_bytes(self) -> int:
        """Bytes of audio sent so far."""
        return len(self._times) * self.chunk_bytes

    @classmethod
    async def connect(cls, server: Server, heard: Heard, chunk_bytes: int) -> Caller:
        """Open a WebSocket."""
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(
            lambda: cls(server, heard, chunk_bytes), "127.0.0.1", server.port
        )
        query = "" if caller._native else f"?{_LISTEN}"
        extra = "".join(f"{name}: {value}\r\n" for name, value in server.headers.items())
        caller.transport.write(
            f"GET {server.path}{query} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{extra}\r\n".encode()
        )
        async with asyncio.timeout(PATIENCE):
            await caller.upgraded
        return caller

    def start(self) -> None:
        """Ask for a session; ``started`` tells when there is one."""
        if self._native:
            self.send(TEXT, json.dumps({"event": "start", **self._server.start}).encode())
        if not self._server.says_started and not self.started.done():
            self.started.set_result(None)

    def speak(self) -> None:
        """Send one chunk."""
        self._times.append(time.perf_counter())
        self.transport.write(self._frame)

    def stop(self) -> None:
        """End the audio; ``stopped`` tells when all was said."""
        self._stopping = True
        self.send(TEXT, b'{"event":"stop"}' if self._native else b'{"type":"CloseStream"}')

    def settle(self, *, interims: bool = True) -> None:
        """Count what is missing, once ``stopped`` has come; ``interims`` only where none may be."""
        heard = self._heard
        heard.lost_bytes += max(0, self.sent_bytes - self.marked)
        due = self.sent_bytes // INTERIM_BYTES
        if interims:
            heard.lost_transcripts += max(0, due - self._said)
        if self._native:
            full = self.stopped.result()
            heard.lost_finals += sum(b"zq" + marker not in full for marker in self._finals)

    def close(self) -> None:
        """Leave."""
        if not self.transport.is_closing():
            self.send(CLOSE, (1000).to_bytes(2, "big"))
            self.transport.close()

    # -- what comes ---------------------------------------------------------------------------

    def send(self, opcode: int, payload: bytes) -> None:
        """Send one message."""
        self.transport.write(frame(opcode, payload, masked=True))

    def take_head(self, head: bytes) -> None:
        """Look whether the upgrade was accepted."""
        if b" 101 " in head.partition(b"\r\n")[0]:
            self.upgraded.set_result(None)
        else:
            self._fail(head.partition(b"\r\n")[0].decode())

    def take_text(self, payload: bytes) -> None:
        """Take an event."""
        found = None if b'"stopped"' in payload else MARKER.search(payload)
        if found is not None:
            self._note(int(found[1]), found[1], payload)
        elif b'"stopped"' in payload or b'"Metadata"' in payload:
            if not self.stopped.done():
                self.stopped.set_result(payload)
        elif b'"started"' in payload:
            if not self.started.done():
                self.started.set_result(None)
        elif b'"error"' in payload:
            self._heard.errors.append(payload[:200].decode("utf-8", "replace"))

    def _note(self, marked: int, marker: bytes, payload: bytes) -> None:
        now, heard = time.perf_counter(), self._heard
        final = b'"is_final":true' in payload or b'"is_final": true' in payload
        if heard.recording and not self._stopping:
            heard.transcripts += 1
            chunk = -(-marked // self.chunk_bytes) - 1
            heard.latencies.append(now - self._times[chunk])
        if marked < self.marked or (marked == self.marked and not final):
            heard.disorder += 1
        self._said += marked > self.marked
        self.marked = marked
        if final:
            self._finals.append(marker)
        self.moved.set()

    def take_close(self) -> None:
        """Answer the server's Close."""
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail whatever still waits."""
        self._fail("the connection was lost" if exc is None else repr(exc))

    def _fail(self, why: str) -> None:
        for future in (self.upgraded, self.started, self.stopped):
            if not future.done():
                future.set_exception(ConnectionError(f"{self._server.name}: {why}"))
                future.exception()  # retrieved, whoever waits for it or not
        self.moved.set()


async def connect(server: Server, heard: Heard, count: int, chunk_bytes: int) -> list[Caller]:
    """Open ``count`` WebSockets, some at a time."""
    return await _some_at_a_time([Caller.connect(server, heard, chunk_bytes) for _ in range(count)])


async def start(callers: Sequence[Caller]) -> None:
    """Start a session for each."""

    async def one(caller: Caller) -> None:
        caller.start()
        async with asyncio.timeout(PATIENCE):
            await caller.started

    await _some_at_a_time([one(caller) for caller in callers])


async def stop(callers: Sequence[Caller], *, interims: bool = True) -> list[float]:
    """End all sessions, some at a time; return how many seconds each took.

    Who sends faster than in real time may be spared interims while the store is behind: count none
    then.
    """

    async def one(caller: Caller) -> float:
        before = time.perf_counter()
        caller.stop()
        async with asyncio.timeout(PATIENCE):
            await caller.stopped
        took = time.perf_counter() - before
        caller.settle(interims=interims)
        return took

    return await _some_at_a_time([one(caller) for caller in callers], at_once=4)


async def _some_at_a_time(jobs: Iterable[Awaitable[T]], at_once: int = 16) -> list[T]:
    places = asyncio.Semaphore(at_once)

    async def one(job: Awaitable[T]) -> T:
        async with places:
            return await job

    return await asyncio.gather(*(one(job) for job in jobs))


async def speak_in_real_time(
    callers: Sequence[Caller], chunk_ms: float, until: asyncio.Event
) -> None:
    """Have all speak, each at a phase of its own, until the event."""
    period, clock = chunk_ms / 1000, time.perf_counter  # uvloop's own counts milliseconds
    now = clock()
    due = [now + i * period / len(callers) for i in range(len(callers))]
    turn = 0
    while not until.is_set():
        now = clock()
        for _ in range(32):  # then let the answers in
            if due[turn] > now:
                break
            callers[turn].speak()
            due[turn] += period
            turn = (turn + 1) % len(callers)
        # uvloop sleeps in whole milliseconds: less would spin, and starve the upstream of its core.
        await asyncio.sleep(min(max(due[turn] - clock(), 0.001), 0.05))


async def speak_fast(caller: Caller, seconds: float, ahead_bytes: int) -> None:
    """Send so much audio, never more than ``ahead_bytes`` ahead of the last transcript."""
    goal = caller.sent_bytes + int(seconds * BYTES_PER_SECOND)
    while caller.sent_bytes < goal:
        caller.moved.clear()
        while caller.sent_bytes < goal and caller.sent_bytes - caller.marked < ahead_bytes:
            caller.speak()
        if caller.sent_bytes >= goal:
            return
        async with asyncio.timeout(PATIENCE):
            await caller.moved.wait()
        if caller.stopped.done():
            raise caller.stopped.exception() or RuntimeError("stopped before its time")


def settle_memory() -> None:
    """Keep the collector of this process from what is here to stay."""
    gc.collect()
    gc.freeze()
