"""A worker's end of what it shares with the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sttgate.access.ledger import Ledger, Most, Refusal
from sttgate.errors import ErrorCode, RequestError
from sttgate.workers.channel import Channel, ChannelClosed
from sttgate.workers.peers import Kind, Peers


class Link(Ledger, Peers):
    """Asks the hub; ``socket`` is where other workers reach this one.

    Without a hub, so when the supervisor died (``lost``), nobody is let in: RequestError SHUTDOWN.
    ``tell_metrics`` returns the metrics of this process; ``on_stop`` is called when the supervisor
    wants it to drain (with True if other workers stay) and when it is gone, ``on_reload`` when the
    configuration is to be read again.
    """

    def __init__(self, number: int, socket: Path) -> None:
        self.number = number
        self.socket = socket
        self.tell_metrics: Callable[[], str] = str
        self.on_stop: Callable[[bool], None] = lambda alone: None
        self.on_reload: Callable[[], None] = lambda: None
        self.lost = False
        self._channel: Channel | None = None
        self._serving: asyncio.Task[None] | None = None

    async def open(self, socket: Any) -> None:
        """Begin to talk over ``socket``."""
        self._channel = await Channel.over(
            socket,
            {
                "metrics": lambda: self.tell_metrics(),
                "stop": lambda alone: self.on_stop(alone),
                "reload": lambda: self.on_reload(),
            },
        )
        self._serving = asyncio.create_task(self._serve(self._channel), name="workers")

    async def close(self) -> None:
        """Tell the last figures and end."""
        assert self._channel is not None
        assert self._serving is not None
        self.on_stop = lambda alone: None
        await self._ask_or("leave the others", "last_metrics", self.tell_metrics())
        self._channel.close()
        self._serving.cancel()
        await asyncio.wait({self._serving})

    def ready(self, **about: Any) -> None:
        """Say that clients can connect."""
        self._tell("ready", about)

    async def _serve(self, channel: Channel) -> None:
        await channel.serve()
        self.lost = True
        self.on_stop(False)

    def _tell(self, call: str, *arguments: Any) -> None:
        if self._channel is not None:
            self._channel.tell(call, *arguments)

    async def _ask(self, call: str, *arguments: Any) -> Any:
        try:
            if self._channel is None:
                raise ChannelClosed
            return await self._channel.ask(call, *arguments)
        except ChannelClosed as error:
            raise RequestError(
                ErrorCode.SHUTDOWN, "The service is restarting. Try again."
            ) from error

    async def _ask_or(self, otherwise: Any, call: str, *arguments: Any) -> Any:
        try:
            return await self._ask(call, *arguments)
        except RequestError:
            return otherwise

    # --- the ledger -----------------------------------------------------------------------------

    async def enter(
        self, session_id: str, key: str | None, address: str | None, most: Most
    ) -> Refusal | None:
        """Count a session of ``key`` from ``address``, unless there are too many already."""
        try:
            refusal = await self._ask("enter", session_id, key, address, asdict(most))
        except BaseException:
            self.leave(session_id)  # who left while we asked may have been counted
            raise
        return Refusal(**refusal) if refusal is not None else None

    def leave(self, session_id: str) -> None:
        """Count it no more."""
        self._tell("leave", session_id)

    async def is_full(self, most: int) -> bool:
        """Whether there are ``most`` sessions."""
        return bool(await self._ask_or(True, "is_full", most))

    async def wait(self, what: str, who: str, per_minute: float) -> float:
        """Return the seconds until ``who`` may do ``what`` again, 0 if now."""
        return float(await self._ask("wait", what, who, per_minute))

    async def attempt(self, what: str, who: str, per_minute: float) -> float:
        """Note that ``who`` does ``what``, or if that is too often return the seconds to wait."""
        return float(await self._ask("attempt", what, who, per_minute))

    async def is_unspent(self, token: str) -> bool:
        """Whether the token with this id was not used yet."""
        return bool(await self._ask("is_unspent", token))

    async def spend(self, token: str, expires_at: float) -> bool:
        """Use the token with this id, which ends at ``expires_at`` (epoch); False if it was used."""
        return bool(await self._ask("spend", token, expires_at))

    # --- the peers ------------------------------------------------------------------------------

    def hold(self, kind: Kind, name: str) -> None:
        """Say that a session or an upload is here, so that requests for it come here."""
        self._tell("hold", kind, name)

    def release(self, kind: Kind, name: str) -> None:
        """Say that it is here no more."""
        self._tell("release", kind, name)

    async def find(self, name: str) -> Path | None:
        """Return the socket of the other worker that has a session or an upload, None if none has."""
        found = await self._ask_or(None, "find", name)
        return Path(found) if found is not None else None

    async def running(self, names: Sequence[str]) -> Collection[str]:
        """Return which of these sessions other workers have."""
        return set(await self._ask_or([], "running", list(names)))

    async def count(self, own: int) -> int:
        """Return how many sessions all workers have; ``own`` are here."""
        return int(await self._ask_or(own, "count"))

    async def metrics(self) -> Sequence[str] | None:
        """Return the metrics of every worker, also of those that are gone; None without others."""
        texts: list[str] | None = await self._ask_or(None, "metrics")
        return texts

    @asynccontextmanager
    async def turn(self, most: int) -> AsyncIterator[None]:
        """Wait until fewer than ``most`` others, over all workers, are inside."""
        asking = asyncio.ensure_future(self._ask("take_turn", most))
        try:
            await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(self._return_turn)
            raise
        try:
            yield
        finally:
            self._tell("end_turn")

    def _return_turn(self, asking: asyncio.Future[Any]) -> None:
        if not asking.cancelled() and asking.exception() is None:
            self._tell("end_turn")
