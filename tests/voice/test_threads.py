"""Threads for engines that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from sttgate import EngineThreads


@pytest.fixture
async def threads() -> AsyncIterator[EngineThreads]:
    threads = EngineThreads("engine under test", 2)
    yield threads
    await threads.close()


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "under test" in thread.name]


async def test_work_runs_in_threads_of_their_own(threads: EngineThreads) -> None:
    """What the work returns or raises comes back; the threads begin with it and end with close."""
    assert running() == []
    assert await threads.run(divmod, 7, 2) == (3, 1)
    assert len(running()) == 1
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 7, 0)
    await threads.close()
    assert running() == []
    assert await threads.run(sum, [1, 2]) == 3


async def test_a_cancelled_call_keeps_its_place_until_its_thread_is_through(
    threads: EngineThreads,
) -> None:
    """A thread cannot be stopped: whoever counts the calls counts it until it ends."""
    began, go = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        assert go.wait(10)
        raise ValueError("nobody wants to know")

    call = asyncio.create_task(threads.run(work))
    await asyncio.to_thread(began.wait, 10)
    call.cancel()
    done, _ = await asyncio.wait({call}, timeout=0.05)
    assert not done
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_cancelled_call_that_has_not_begun_never_begins() -> None:
    """With no thread free, the work is dropped at once."""
    threads = EngineThreads("engine under test", 1)
    go, asked = threading.Event(), []
    first = asyncio.create_task(threads.run(go.wait, 10))
    second = asyncio.create_task(threads.run(asked.append, "never"))
    await asyncio.sleep(0)
    second.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await second
    go.set()
    assert await first
    await threads.close()
    assert asked == []


def test_there_is_at_least_one() -> None:
    """By default there is a thread for each core."""
    assert EngineThreads("engine").number >= 1


def test_a_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of several processes that share a machine begins no more threads than its share."""
    monkeypatch.setenv("PYTHON_CPU_COUNT", "3")
    assert EngineThreads("engine under test").number == 3
    monkeypatch.setenv("PYTHON_CPU_COUNT", "default")
    assert EngineThreads("engine under test").number >= 1
