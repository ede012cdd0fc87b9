"""What the workers of a gateway share: kept by the process that started them, so that it outlives each.

It counts callers, knows which worker has which session, and remembers the figures of workers that
are gone. It never sees audio, words or keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from sttgate.access.ledger import Counts, Most
from sttgate.workers.channel import Channel, ChannelClosed, Handler
from sttgate.workers.peers import Kind
from sttgate.workers.sums import Sums
from sttgate.workers.turns import Turns

METRICS_TIMEOUT = 2.0  # seconds a worker may take to tell its figures; then its last ones count


class Member:
    """A worker as the hub sees it: where it is reached, and what it has."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.channel: Channel | None = None
        self.entered: set[str] = set()
        self.held: set[tuple[Kind, str]] = set()
        self.metrics = ""


class Hub:
    """The shared state and its members."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._holders: dict[tuple[Kind, str], Member] = {}
        self._turns = Turns()
        self._members: list[Member] = []
        self._past = Sums()

    def add(self, member: Member) -> Mapping[str, Handler]:
        """Take a worker in; return what it may call."""
        self._members.append(member)
        calls: tuple[Any, ...] = (
            *(self.enter, self.leave, self.hold, self.release, self.find, self.running),
            *(self.metrics, self.last_metrics, self.take_turn, self.end_turn),
        )
        counts: tuple[Any, ...] = (
            *(self._counts.is_full, self._counts.wait, self._counts.attempt),
            *(self._counts.is_unspent, self._counts.spend),
        )
        return {
            **{call.__name__: partial(call, member) for call in calls},
            **{call.__name__: call for call in counts},
            "count": self.count,
        }

    def lose(self, member: Member) -> None:
        """Let go of what a worker had, since it is gone."""
        self._members.remove(member)
        for session_id in member.entered:
            self._counts.leave(session_id)
        for what in member.held:
            if self._holders.get(what) is member:
                del self._holders[what]
        self._turns.forget(member)
        self._past.add(member.metrics, over=True)

    def count(self) -> int:
        """Return how many sessions all workers have."""
        return sum(kind == "session" for kind, _ in self._holders)

    # --- what a worker calls --------------------------------------------------------------------

    def enter(
        self,
        member: Member,
        session_id: str,
        key: str | None,
        address: str | None,
        most: dict[str, Any],
    ) -> dict[str, Any] | None:
        """Count a session, or return the refusal."""
        refusal = self._counts.enter(session_id, key, address, Most(**most))
        if refusal is not None:
            return asdict(refusal)
        member.entered.add(session_id)
        return None

    def leave(self, member: Member, session_id: str) -> None:
        """Count a session no more."""
        if session_id in member.entered:
            member.entered.remove(session_id)
            self._counts.leave(session_id)

    def hold(self, member: Member, kind: Kind, name: str) -> None:
        """Note that a worker has it."""
        member.held.add((kind, name))
        self._holders[kind, name] = member

    def release(self, member: Member, kind: Kind, name: str) -> None:
        """Note that a worker has it no more."""
        member.held.discard((kind, name))
        if self._holders.get((kind, name)) is member:
            del self._holders[kind, name]

    def find(self, member: Member, name: str) -> str | None:
        """Return the socket of the other worker that has a session or an upload of this name."""
        kinds: tuple[Kind, ...] = ("upload", "session")
        for kind in kinds:
            holder = self._holders.get((kind, name))
            if holder is not None:
                return None if holder is member else str(holder.socket)
        return None

    def running(self, member: Member, names: Sequence[str]) -> list[str]:
        """Return which of these sessions other workers have."""
        holders = ((name, self._holders.get(("session", name))) for name in names)
        return [name for name, holder in holders if holder not in (None, member)]

    async def metrics(self, member: Member) -> list[str]:
        """Return the metrics of every worker, those that are gone first.

        Asked for here and kept, so that what was once shown never goes backwards.
        """
        await asyncio.gather(*(self._look_at(each) for each in self._members))
        return [self._past.text(), *(each.metrics for each in self._members)]

    async def _look_at(self, member: Member) -> None:
        if member.channel is not None:
            with suppress(TimeoutError, ChannelClosed):
                async with asyncio.timeout(METRICS_TIMEOUT):
                    metrics = await member.channel.ask("metrics")
                    if member in self._members:
                        member.metrics = metrics

    def last_metrics(self, member: Member, text: str) -> None:
        """Note the figures of a worker that is about to end."""
        member.metrics = text

    async def take_turn(self, member: Member, most: int) -> None:
        """Return once it is the worker's turn."""
        await self._turns.take(member, most)

    def end_turn(self, member: Member) -> None:
        """Give a turn back."""
        self._turns.end(member)
