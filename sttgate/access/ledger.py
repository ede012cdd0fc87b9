"""What callers have taken so far: sessions, attempts, tokens. One ledger serves a whole gateway."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

from sttgate.access.addresses import Allowance

_LEEWAY = 5.0  # seconds clocks of the instances that share a secret may differ
_MAX_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Most:
    """How many sessions there may be at a time: of all, of one key, from one address."""

    all: int
    key: int | None = None
    address: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Which of the limits keeps a session out, and how many sessions there are by its count."""

    limit: Literal["all", "key", "address"]
    count: int


class Ledger(ABC):
    """Counts for a gateway, in this process or for all of its workers. Nothing here is durable."""

    @abstractmethod
    async def enter(
        self, session_id: str, key: str | None, address: str | None, most: Most
    ) -> Refusal | None:
        """Count a session of ``key`` from ``address``, unless there are too many already."""

    @abstractmethod
    def leave(self, session_id: str) -> None:
        """Count it no more."""

    @abstractmethod
    async def is_full(self, most: int) -> bool:
        """Whether there are ``most`` sessions."""

    @abstractmethod
    async def wait(self, what: str, who: str, per_minute: float) -> float:
        """Return the seconds until ``who`` may do ``what`` again, 0 if now."""

    @abstractmethod
    async def attempt(self, what: str, who: str, per_minute: float) -> float:
        """Note that ``who`` does ``what``, or if that is too often return the seconds to wait."""

    @abstractmethod
    async def is_unspent(self, token: str) -> bool:
        """Whether the token with this id was not used yet."""

    @abstractmethod
    async def spend(self, token: str, expires_at: float) -> bool:
        """Use the token with this id, which ends at ``expires_at`` (epoch); False if it was used."""


class Counts:
    """What a ledger says, kept in memory. The methods are those of ``Ledger``."""

    def __init__(self) -> None:
        self._sessions: dict[str, tuple[str | None, str | None]] = {}
        self._allowances: dict[str, Allowance] = {}
        self._spent: dict[str, float] = {}

    def enter(
        self, session_id: str, key: str | None, address: str | None, most: Most
    ) -> Refusal | None:
        """Count a session of ``key`` from ``address``, unless there are too many already."""
        if self.is_full(most.all):
            return Refusal("all", len(self._sessions))
        if most.key is not None and key is not None:
            mine = sum(other == key for other, _ in self._sessions.values())
            if mine >= most.key:
                return Refusal("key", mine)
        if most.address is not None and address is not None:
            near = sum(other == address for _, other in self._sessions.values())
            if near >= most.address:
                return Refusal("address", near)
        self._sessions[session_id] = key, address
        return None

    def leave(self, session_id: str) -> None:
        """Count it no more."""
        self._sessions.pop(session_id, None)

    def is_full(self, most: int) -> bool:
        """Whether there are ``most`` sessions."""
        return len(self._sessions) >= most

    def wait(self, what: str, who: str, per_minute: float) -> float:
        """Return the seconds until ``who`` may do ``what`` again, 0 if now."""
        return self._allowance(what, per_minute).wait(who)

    def attempt(self, what: str, who: str, per_minute: float) -> float:
        """Note that ``who`` does ``what``, or if that is too often return the seconds to wait."""
        allowance = self._allowance(what, per_minute)
        if not (wait := allowance.wait(who)):
            allowance.take(who)
        return wait

    def is_unspent(self, token: str) -> bool:
        """Whether the token with this id was not used yet."""
        return token not in self._spent

    def spend(self, token: str, expires_at: float) -> bool:
        """Use the token with this id, which ends at ``expires_at`` (epoch); False if it was used."""
        if token in self._spent:
            return False
        if len(self._spent) >= _MAX_REMEMBERED:
            now = time.time() - _LEEWAY
            self._spent = {token: end for token, end in self._spent.items() if end >= now}
        self._spent[token] = expires_at
        return True

    def _allowance(self, what: str, per_minute: float) -> Allowance:
        known = self._allowances.get(what)
        if known is None or known.per_minute != per_minute:
            known = self._allowances[what] = Allowance(per_minute)
        return known


class OwnLedger(Ledger):
    """The ledger of a gateway that is one process."""

    def __init__(self) -> None:
        self._counts = Counts()

    async def enter(
        self, session_id: str, key: str | None, address: str | None, most: Most
    ) -> Refusal | None:
        """Count a session of ``key`` from ``address``, unless there are too many already."""
        return self._counts.enter(session_id, key, address, most)

    def leave(self, session_id: str) -> None:
        """Count it no more."""
        self._counts.leave(session_id)

    async def is_full(self, most: int) -> bool:
        """Whether there are ``most`` sessions."""
        return self._counts.is_full(most)

    async def wait(self, what: str, who: str, per_minute: float) -> float:
        """Return the seconds until ``who`` may do ``what`` again, 0 if now."""
        return self._counts.wait(what, who, per_minute)

    async def attempt(self, what: str, who: str, per_minute: float) -> float:
        """Note that ``who`` does ``what``, or if that is too often return the seconds to wait."""
        return self._counts.attempt(what, who, per_minute)

    async def is_unspent(self, token: str) -> bool:
        """Whether the token with this id was not used yet."""
        return self._counts.is_unspent(token)

    async def spend(self, token: str, expires_at: float) -> bool:
        """Use the token with this id, which ends at ``expires_at`` (epoch); False if it was used."""
        return self._counts.spend(token, expires_at)
