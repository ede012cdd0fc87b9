"""What workers share: two links to one hub, over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from sttgate.access.ledger import Most, Refusal
from sttgate.errors import ErrorCode, RequestError
from sttgate.workers.channel import Channel
from sttgate.workers.hub import Hub, Member
from sttgate.workers.link import Link
from sttgate.workers.sums import Sums
from tests.faults.patience import until


class Pair:
    """A worker: its link, and the hub's end, which ``die`` cuts."""

    def __init__(self, hub: Hub, number: int) -> None:
        self.hub = hub
        self.member = Member(Path(f"worker{number}"))
        self.link = Link(number, self.member.socket)
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Join both ends."""
        ours, theirs = socket.socketpair()
        self.member.channel = await Channel.over(ours, self.hub.add(self.member))
        self._serving = asyncio.create_task(self.member.channel.serve())
        await self.link.open(theirs)

    async def die(self) -> None:
        """End as a process that is killed does."""
        if self._serving is not None:
            assert self.member.channel is not None
            self.member.channel.close()
            await asyncio.wait({self._serving})
            self._serving = None
            await until(lambda: self.link.lost)
            self.hub.lose(self.member)
            await self.link.close()


@asynccontextmanager
async def workers() -> AsyncIterator[tuple[Pair, Pair]]:
    """Return two workers of one hub."""
    hub = Hub()
    async with AsyncExitStack() as stack:
        pairs = Pair(hub, 1), Pair(hub, 2)
        for pair in pairs:
            await pair.open()
            stack.push_async_callback(pair.die)
        yield pairs


async def test_sessions_count_together() -> None:
    """A limit is one for all workers, and a worker that is gone frees what it had."""
    async with workers() as (one, two):
        most = Most(all=3, key=2, address=2)
        assert await one.link.enter("a", "me", "here", most) is None
        assert await two.link.enter("b", "me", None, most) is None
        assert await two.link.enter("c", "me", None, most) == Refusal("key", 2)
        assert await two.link.enter("c", "you", "here", most) is None
        assert await one.link.enter("d", None, None, most) == Refusal("all", 3)
        assert await one.link.is_full(3)
        two.link.leave("c")
        assert await one.link.enter("d", "you", "here", most) is None
        assert await one.link.enter("e", "you", "here", Most(all=9, address=2)) == Refusal(
            "address", 2
        )
        await one.die()
        assert not await two.link.is_full(2)
        assert await two.link.enter("f", "me", "here", most) is None


async def test_a_session_nobody_waits_for_is_not_counted() -> None:
    """Who hangs up while the hub is asked leaves nothing behind."""
    async with workers() as (one, two):
        asking = asyncio.create_task(one.link.enter("a", "me", "here", Most(all=1)))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        assert asking.cancelled()
        await one.link.count(0)  # calls are taken in order
        assert not await two.link.is_full(1)


async def test_attempts_and_tokens_count_together() -> None:
    """What is allowed so often a minute, or once, is so over all workers."""
    async with workers() as (one, two):
        assert await one.link.attempt("connect", "here", 2) == 0
        assert await two.link.attempt("connect", "here", 2) == 0
        assert 0 < await one.link.attempt("connect", "here", 2) <= 30
        assert 0 < await two.link.wait("connect", "here", 2) <= 30
        assert await two.link.wait("connect", "there", 2) == 0
        assert await one.link.is_unspent("token")
        assert await one.link.spend("token", 1e12)
        assert not await two.link.is_unspent("token")
        assert not await two.link.spend("token", 1e12)


async def test_who_has_what() -> None:
    """Each worker finds what another one has, never what it has itself."""
    async with workers() as (one, two):
        one.link.hold("session", "a")
        one.link.hold("upload", "b")
        assert await one.link.find("a") is None
        assert await two.link.find("a") == one.link.socket
        assert await two.link.find("b") == one.link.socket
        assert await two.link.find("c") is None
        assert await two.link.running(["a", "b", "c"]) == {"a"}
        assert await two.link.count(0) == 1
        one.link.release("upload", "b")
        await one.link.count(0)
        assert await two.link.find("b") is None
        await one.die()
        assert await two.link.find("a") is None


async def test_turns() -> None:
    """Uploads take turns over all workers; the turns of one that dies, or gives up, go on."""
    async with workers() as (one, two):
        order: list[str] = []

        async def work(worker: Pair, name: str, done: asyncio.Event) -> None:
            async with worker.link.turn(1):
                order.append(name)
                await done.wait()

        done = asyncio.Event()
        first = asyncio.create_task(work(one, "first", done))
        await until(lambda: order == ["first"])
        second = asyncio.create_task(work(two, "second", done))
        await two.link.count(0)
        impatient = asyncio.create_task(work(two, "impatient", done))
        await two.link.count(0)
        third = asyncio.create_task(work(two, "third", done))
        await two.link.count(0)
        assert order == ["first"]
        impatient.cancel()
        await one.die()
        await until(lambda: order == ["first", "second"])
        done.set()
        await third
        assert order == ["first", "second", "third"]
        await asyncio.gather(first, second)


async def test_figures_never_go_backwards() -> None:
    """What a worker counted stays when it is gone, and what it had is gone."""
    async with workers() as (one, two):
        text = (
            "# HELP sttgate_segments_total Finals.\n# TYPE sttgate_segments_total counter\n"
            "sttgate_segments_total {}\n"
            "# HELP sttgate_sessions_active Live.\n# TYPE sttgate_sessions_active gauge\n"
            "sttgate_sessions_active {}\n"
            "# HELP sttgate_draining Going away.\n# TYPE sttgate_draining gauge\n"
            "sttgate_draining {}\n"
        )
        one.link.tell_metrics = lambda: text.format(5, 2, 1)
        two.link.tell_metrics = lambda: text.format(7, 1, 0)

        async def sums() -> list[float]:
            texts = await two.link.metrics()
            assert texts is not None
            names = ("sttgate_segments_total", "sttgate_sessions_active", "sttgate_draining")
            return [Sums(texts).total(name) for name in names]

        assert await sums() == [12, 3, 0]
        await one.die()
        assert await sums() == [12, 1, 0]
        assert text.format(12.0, 1.0, 0.0) == Sums(await two.link.metrics() or ()).text()


async def test_without_a_supervisor_nobody_enters() -> None:
    """Where nothing can be counted any more a session is refused, to be tried elsewhere."""
    async with workers() as (one, _):
        told: list[bool] = []
        one.link.on_stop = told.append
        await one.die()
        assert told == [False]
        with pytest.raises(RequestError) as caught:
            await one.link.enter("a", None, None, Most(all=1))
        assert caught.value.code is ErrorCode.SHUTDOWN
        assert await one.link.find("a") is None
        assert await one.link.metrics() is None
