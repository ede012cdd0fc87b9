"""The other workers of a gateway, as one of them sees them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Literal

Kind = Literal["session", "upload"]


class Peers(ABC):
    """Who has what, and what all of them add up to."""

    @abstractmethod
    def hold(self, kind: Kind, name: str) -> None:
        """Say that a session or an upload is here, so that requests for it come here."""

    @abstractmethod
    def release(self, kind: Kind, name: str) -> None:
        """Say that it is here no more."""

    @abstractmethod
    async def find(self, name: str) -> Path | None:
        """Return the socket of the other worker that has a session or an upload, None if none has."""

    @abstractmethod
    async def running(self, names: Sequence[str]) -> Collection[str]:
        """Return which of these sessions other workers have."""

    @abstractmethod
    async def count(self, own: int) -> int:
        """Return how many sessions all workers have; ``own`` are here."""

    @abstractmethod
    async def metrics(self) -> Sequence[str] | None:
        """Return the metrics of every worker, also of those that are gone; None without others."""

    @abstractmethod
    def turn(self, most: int) -> AbstractAsyncContextManager[None]:
        """Wait until fewer than ``most`` others, over all workers, are inside."""


class Alone(Peers):
    """The peers of a gateway that is one process: there are none."""

    def __init__(self) -> None:
        self._turns: asyncio.Semaphore | None = None

    def hold(self, kind: Kind, name: str) -> None:
        """Tell nobody."""

    def release(self, kind: Kind, name: str) -> None:
        """Tell nobody."""

    async def find(self, name: str) -> Path | None:
        """Return None."""
        return None

    async def running(self, names: Sequence[str]) -> Collection[str]:
        """Return nothing."""
        return ()

    async def count(self, own: int) -> int:
        """Return ``own``."""
        return own

    async def metrics(self) -> Sequence[str] | None:
        """Return None."""
        return None

    @asynccontextmanager
    async def turn(self, most: int) -> AsyncIterator[None]:
        """Wait until fewer than ``most`` others are inside."""
        if self._turns is None:
            self._turns = asyncio.Semaphore(most)
        async with self._turns:
            yield
