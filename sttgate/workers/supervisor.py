"""The process that starts the workers, keeps their number, and has the signals of all of them.

It serves nobody itself, so that there is little in it that can fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from socket import socket
from typing import Any

import structlog

from sttgate.workers.channel import Channel
from sttgate.workers.hub import Hub, Member

log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.5  # seconds before a worker that died is replaced; twice as long each time
LONGEST_PAUSE = 30.0
STEADY = 60.0  # seconds after which a worker's end is not the sequel of the last one's

About = Mapping[str, Any]
Spawn = Callable[[int, Path], tuple["subprocess.Popen[bytes]", socket]]
"""Starts worker number N, reached at a socket; returns its process and this end of its channel."""


class Worker:
    """A process that serves, or is about to; ``code`` is how it ended."""

    def __init__(self, number: int, process: subprocess.Popen[bytes], member: Member) -> None:
        self.number = number
        self.process = process
        self.member = member
        self.began_at = time.monotonic()
        self.about: About | None = None
        self.code: int | None = None
        self.settled = asyncio.Event()  # it is ready, or over
        self.over = asyncio.Event()

    def tell(self, call: str, *arguments: Any) -> None:
        """Tell it something, if it still listens."""
        if self.member.channel is not None:
            self.member.channel.tell(call, *arguments)

    @property
    def end(self) -> str:
        """How it ended, for people."""
        code = self.code or 0
        return f"signal {-code}" if code < 0 else f"exit code {code}"


class Slot:
    """One of the numbers from 1 on, and the workers that have it: two while it changes hands."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.worker: Worker | None = None
        self.successor: Worker | None = None
        self.woken = asyncio.Event()


class Supervisor:
    """Keeps ``count`` workers; ``folder`` is where their private sockets lie.

    ``patience``: seconds a worker may take to drain before it is killed, which loses nothing either:
    the next start takes up what it had.
    """

    def __init__(self, spawn: Spawn, count: int, folder: Path, patience: float) -> None:
        self._spawn = spawn
        self._folder = folder
        self._patience = patience
        self._hub = Hub()
        self._slots = [Slot(number) for number in range(1, count + 1)]
        self._serials = itertools.count(1)
        self._living: dict[Worker, asyncio.Task[None]] = {}
        self._stops = 0
        self._stopping = asyncio.Event()
        self._restarting: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    async def run(self, on_ready: Callable[[About], None]) -> int:
        """Serve until SIGTERM or Ctrl-C; return the exit code, that of a worker that could not start.

        ``on_ready`` is called once all serve, with what the first one says. SIGHUP has all of them read
        the configuration again, SIGUSR2 replaces them one after the other.
        """
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._tell_all, "reload")
        loop.add_signal_handler(signal.SIGUSR2, self._restart)
        try:
            failed = await self._start_all()
            if failed is None and not self._stops:
                assert self._slots[0].worker is not None
                on_ready(self._slots[0].worker.about or {})
                await self._keep_all()
            return failed or 0
        finally:
            await self._end()

    # --- starting -------------------------------------------------------------------------------

    async def _start_all(self) -> int | None:
        """Start the first worker, then the others; return the exit code of one that failed.

        The first one alone makes databases and secrets, and says what is wrong, if anything is.
        """
        first, *others = self._slots
        for slots in ([first], others):
            workers = [self._start(slot) for slot in slots]
            for worker in workers:
                await worker.settled.wait()
            if self._stops:
                return None
            for worker in workers:
                if worker.about is None:
                    code = worker.code or 0
                    if code <= 0:
                        log.error("worker_did_not_start", worker=worker.number, end=worker.end)
                    return code if code > 0 else 1
        return None

    def _start(self, slot: Slot) -> Worker:
        """Start a worker and give it the slot."""
        slot.worker = self._spawn_one(slot.number)
        return slot.worker

    def _spawn_one(self, number: int) -> Worker:
        member = Member(self._folder / f"{next(self._serials)}.sock")
        process, channel = self._spawn(number, member.socket)
        worker = Worker(number, process, member)
        self._living[worker] = asyncio.create_task(self._attend(worker, channel))
        return worker

    async def _attend(self, worker: Worker, socket: socket) -> None:
        """Answer a worker until it has ended."""

        def ready(about: About) -> None:
            worker.about = about
            worker.settled.set()
            log.info("worker_ready", worker=worker.number, pid=worker.process.pid)
            for _ in range(self._stops):
                worker.tell("stop", False)

        member = worker.member
        handlers = {**self._hub.add(member), "ready": ready}
        member.channel = await Channel.over(socket, handlers)
        serving = asyncio.create_task(member.channel.serve())
        worker.code = await _exited(worker.process)
        await serving  # it may have left last words
        self._hub.lose(member)
        with contextlib.suppress(OSError):
            member.socket.unlink()
        del self._living[worker]
        worker.settled.set()
        worker.over.set()

    # --- keeping --------------------------------------------------------------------------------

    async def _keep_all(self) -> None:
        keeping = [asyncio.create_task(self._keep(slot)) for slot in self._slots]
        try:
            await self._stopping.wait()
        finally:
            if self._restarting is not None:
                keeping.append(self._restarting)
            for task in keeping:
                task.cancel()
            await asyncio.wait(keeping)

    async def _keep(self, slot: Slot) -> None:
        """See that the slot always has a worker."""
        pause = FIRST_PAUSE
        while True:
            worker = slot.worker
            assert worker is not None
            await worker.over.wait()
            if slot.successor is None:
                if time.monotonic() - worker.began_at >= STEADY:
                    pause = FIRST_PAUSE
                log.error(
                    "worker_died", worker=slot.number, end=worker.end, replaced_in_s=round(pause, 1)
                )
                slot.woken.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await slot.woken.wait()
                pause = min(2 * pause, LONGEST_PAUSE)
            if slot.successor is not None:
                slot.worker, slot.successor = slot.successor, None
            else:
                self._start(slot)

    def _restart(self) -> None:
        if self._stops or (self._restarting is not None and not self._restarting.done()):
            return
        self._restarting = asyncio.create_task(self._replace_all())

    async def _replace_all(self) -> None:
        """Replace the workers one after the other: the next one serves before one drains."""
        log.info("workers_restarting", workers=len(self._slots))
        for slot in self._slots:
            successor = self._spawn_one(slot.number)
            await successor.settled.wait()
            if successor.about is None:
                log.error("restart_given_up", worker=slot.number, message="the others go on")
                return
            before, slot.successor = slot.worker, successor
            slot.woken.set()
            if before is not None:
                before.tell("stop", True)
                await before.over.wait()
        log.info("workers_restarted", workers=len(self._slots))

    # --- ending ---------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._stops += 1
        self._stopping.set()
        self._tell_all("stop", False)
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(self._patience, self._kill_all)

    def _tell_all(self, call: str, *arguments: Any) -> None:
        for worker in self._living:
            worker.tell(call, *arguments)

    def _kill_all(self) -> None:
        for worker in self._living:
            log.error("worker_killed", worker=worker.number, message="it did not end in time")
            worker.process.kill()

    async def _end(self) -> None:
        """Have every worker drain, and return when all are gone."""
        if not self._stops:
            self._stop()
        while self._living:
            await asyncio.wait(set(self._living.values()))
        assert self._deadline is not None
        self._deadline.cancel()


async def _exited(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a process once it has ended, minus the signal that ended it."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    handle = os.pidfd_open(process.pid)
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    return process.wait()
