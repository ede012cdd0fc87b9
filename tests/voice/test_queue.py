"""The queue in front of an engine, with an engine that only waits to be let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sttgate import ProviderTimeout
from sttgate.voice.queue import Urgency, WorkQueue

FINAL, GUESS, INTERIM = Urgency.FINAL, Urgency.GUESS, Urgency.INTERIM


class Gate:
    """An engine that returns what it got, in order of ``started``, once ``open`` is set."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.started: list[str] = []
        self.stopped: list[str] = []

    async def recognize(self, what: str) -> str:
        self.started.append(what)
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.stopped.append(what)
            raise
        if what == "broken":
            raise ValueError("broken audio")
        return what


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.fixture
async def queue() -> AsyncIterator[WorkQueue[str]]:
    queue = WorkQueue[str](limit=1, timeout=30)
    yield queue
    await queue.close()


async def test_finals_go_before_interims(queue: WorkQueue[str], gate: Gate) -> None:
    """An interim waits until no final does."""
    jobs = [
        queue.submit(lambda: gate.recognize("running"), FINAL),
        queue.submit(lambda: gate.recognize("interim"), INTERIM),
        queue.submit(lambda: gate.recognize("final"), FINAL),
    ]
    gate.open.set()
    await asyncio.gather(*jobs)
    assert gate.started == ["running", "final", "interim"]


async def test_guesses_come_in_between(queue: WorkQueue[str], gate: Gate) -> None:
    """A guess waits for finals and goes before interims; come true, it is first in its place."""
    jobs = [
        queue.submit(lambda: gate.recognize("running"), FINAL),
        queue.submit(lambda: gate.recognize("interim"), INTERIM),
        queue.submit(lambda: gate.recognize("guess"), GUESS),
        queue.submit(lambda: gate.recognize("came true"), GUESS),
        queue.submit(lambda: gate.recognize("final"), FINAL),
    ]
    queue.promote(jobs[3])
    queue.promote(jobs[0])  # runs already
    gate.open.set()
    await asyncio.gather(*jobs)
    assert gate.started == ["running", "came true", "final", "guess", "interim"]


async def test_a_second_final_of_a_stream_lets_other_streams_pass(
    queue: WorkQueue[str], gate: Gate
) -> None:
    """A file pushed at full speed does not delay the finals of live streams."""
    jobs = [
        queue.submit(lambda turn=turn: gate.recognize(f"file {turn}"), FINAL, turn)
        for turn in range(3)
    ]
    jobs.append(queue.submit(lambda: gate.recognize("live"), FINAL, 0))
    gate.open.set()
    await asyncio.gather(*jobs)
    assert gate.started == ["file 0", "live", "file 1", "file 2"]


async def test_an_interim_hears_the_latest_audio(queue: WorkQueue[str], gate: Gate) -> None:
    """Work is asked for when there is room, not when the interim is queued."""
    audio = ["early"]
    jobs = [
        queue.submit(lambda: gate.recognize("running"), FINAL),
        queue.submit(lambda: gate.recognize(" ".join(audio)), INTERIM),
    ]
    audio.append("late")
    gate.open.set()
    assert await jobs[1] == "early late"


async def test_what_is_no_longer_wanted_is_not_recognised(
    queue: WorkQueue[str], gate: Gate
) -> None:
    """A withdrawn job, and one whose audio is gone, cost nothing."""
    jobs = [
        queue.submit(lambda: gate.recognize("running"), FINAL),
        queue.submit(lambda: gate.recognize("withdrawn"), FINAL),
        queue.submit(lambda: None, INTERIM),
    ]
    jobs[1].cancel()
    gate.open.set()
    assert await jobs[2] is None
    assert gate.started == ["running"]


async def test_a_withdrawn_job_that_runs_is_stopped(queue: WorkQueue[str], gate: Gate) -> None:
    """Its place goes to the next one."""
    running = queue.submit(lambda: gate.recognize("running"), FINAL)
    following = queue.submit(lambda: gate.recognize("following"), FINAL)
    await asyncio.sleep(0)
    running.cancel()
    gate.open.set()
    assert await following == "following"
    assert gate.stopped == ["running"]


async def test_a_failure_reaches_who_asked_and_nobody_else(
    queue: WorkQueue[str], gate: Gate
) -> None:
    """The queue survives a piece of audio that breaks the engine."""
    broken = queue.submit(lambda: gate.recognize("broken"), FINAL)
    whole = queue.submit(lambda: gate.recognize("whole"), FINAL)
    gate.open.set()
    with pytest.raises(ValueError, match="broken audio"):
        await broken
    assert await whole == "whole"


async def test_work_that_takes_too_long_is_stopped(gate: Gate) -> None:
    """A deadline frees the place of an engine that hangs."""
    queue = WorkQueue[str](limit=1, timeout=0.05)
    with pytest.raises(ProviderTimeout, match=r"0\.05 s"):
        await queue.submit(lambda: gate.recognize("hanging"), FINAL)
    assert gate.stopped == ["hanging"]
    await queue.close()


async def test_the_backlog_is_the_wait_of_the_first_queued_final(
    queue: WorkQueue[str], gate: Gate
) -> None:
    """Running work, interims and withdrawn jobs do not count."""
    jobs = [
        queue.submit(lambda: gate.recognize("running"), FINAL),
        queue.submit(lambda: gate.recognize("interim"), INTERIM),
    ]
    assert queue.backlog == 0
    jobs.append(queue.submit(lambda: gate.recognize("final"), FINAL))
    async with asyncio.timeout(10):
        while queue.backlog < 0.02:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
    jobs[-1].cancel()
    assert queue.backlog == 0


async def test_closing_cancels_all(queue: WorkQueue[str], gate: Gate) -> None:
    """After close nothing runs, and nothing is accepted."""
    running = queue.submit(lambda: gate.recognize("running"), FINAL)
    queued = queue.submit(lambda: gate.recognize("queued"), FINAL)
    await asyncio.sleep(0)
    await queue.close()
    assert running.cancelled()
    assert queued.cancelled()
    assert queue.submit(lambda: gate.recognize("late"), FINAL).cancelled()
    assert gate.stopped == ["running"]
