"""How many sessions a caller may have, and when a session has lasted long enough."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sttgate.access.ledger import Ledger, Most, OwnLedger
from sttgate.access.principal import EVERYBODY, Principal
from sttgate.config.model import LimitsConfig
from sttgate.errors import ErrorCode, RequestError
from sttgate.session.entries import StopReason
from sttgate.session.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who opens a session, and from which address (None: this process itself)."""

    principal: Principal = EVERYBODY
    address: str | None = None


MYSELF = Caller()
"""This process, which has no limits but those of all."""

_CONNECT = "connect"  # in the ledger
_REFUSALS = {
    "all": "The service is full. Try again later.",
    "key": "This key has {} sessions, as many as it may have.",
    "address": "There are {} sessions from here, as many as may be.",
}


class Admission:
    """Holds sessions and connections of each caller against ``limits``; ``max_sessions`` is for all.

    ``ledger`` counts sessions, perhaps with those of other processes; connections are of this one.
    """

    def __init__(
        self, limits: LimitsConfig, max_sessions: int, ledger: Ledger | None = None
    ) -> None:
        self._callers: dict[str, Caller] = {}
        self._connected: Counter[str] = Counter()
        self._ledger = ledger or OwnLedger()
        self.use(limits, max_sessions)

    def use(self, limits: LimitsConfig, max_sessions: int) -> None:
        """Judge by these from now on."""
        self.limits = limits
        self.max_sessions = max_sessions

    async def connect(self, address: str) -> float:
        """Count a connection from ``address``; if it is one too many return the seconds to wait."""
        if (per_minute := self.limits.connects_per_minute) is None:
            return 0.0
        return await self._ledger.attempt(_CONNECT, address, per_minute)

    @contextmanager
    def connection(self, address: str) -> Iterator[None]:
        """Count an open connection from ``address``; RequestError when it is one too many."""
        most = self.limits.connections
        if most is not None and self._connected.total() >= most:
            raise RequestError(ErrorCode.CAPACITY, "The service is full. Try again later.")
        near = self._connected[address]
        most = self.limits.connections_per_address
        if most is not None and near >= most:
            raise RequestError(
                ErrorCode.CAPACITY, f"There are {near} connections from here, as many as may be."
            )
        self._connected[address] += 1
        try:
            yield
        finally:
            self._connected[address] -= 1
            if not self._connected[address]:
                del self._connected[address]

    async def is_full(self) -> bool:
        """Whether there are as many sessions as may be."""
        return await self._ledger.is_full(self.max_sessions)

    async def enter(self, session_id: str, caller: Caller) -> None:
        """Count a session from here on; RequestError when ``caller`` cannot have one more."""
        principal = caller.principal
        refusal = await self._ledger.enter(
            session_id,
            principal.id,
            caller.address,
            Most(
                all=self.max_sessions,
                key=principal.max_sessions or self.limits.sessions_per_key,
                address=self.limits.sessions_per_address,
            ),
        )
        if refusal is not None:
            sentence = _REFUSALS[refusal.limit].format(refusal.count)
            raise RequestError(ErrorCode.CAPACITY, sentence)
        self._callers[session_id] = caller

    def leave(self, session_id: str) -> None:
        """Count it no more."""
        if self._callers.pop(session_id, None) is not None:
            self._ledger.leave(session_id)

    def callers(self) -> Mapping[str, Caller]:
        """Return who has which session of this process, by its id."""
        return self._callers


class Deadlines:
    """Tells which sessions are over by ``limits``; ask it about once a second."""

    def __init__(self) -> None:
        self._seen: dict[str, _Sight] = {}

    def overdue(
        self, sessions: Iterable[Session], limits: LimitsConfig
    ) -> Iterator[tuple[Session, StopReason]]:
        """Yield each session that got no audio for too long, or is too long, and which it is."""
        now = time.monotonic()
        seen = {}
        for session in sessions:
            sight = self._seen.get(session.id) or _Sight(now, now, session.received_bytes)
            if session.received_bytes != sight.received_bytes:
                sight.received_bytes, sight.moved_at = session.received_bytes, now
            seen[session.id] = sight
            if limits.max_session_s is not None and now - sight.first_at > limits.max_session_s:
                yield session, "max_duration"
            elif limits.idle_s is not None and now - sight.moved_at > limits.idle_s:
                yield session, "idle"
        self._seen = seen


@dataclass(slots=True)
class _Sight:
    first_at: float
    moved_at: float
    received_bytes: int


class Pace:
    """Keeps one who sends faster than ``max_speed`` times real time waiting; nothing is dropped."""

    CREDIT = (
        30.0  # seconds of audio that may come at any speed: what a client kept while it was away
    )

    def __init__(self, max_speed: float) -> None:
        self._max_speed = max_speed
        self._began_at = time.monotonic()
        self.free_s = self.CREDIT
        """``free_s``: seconds of audio in all for which there is surely nothing to wait."""

    def wait(self, seconds: float) -> float:
        """Return how long to wait before more is read, after ``seconds`` of audio in all."""
        elapsed = time.monotonic() - self._began_at
        self.free_s = self.CREDIT + elapsed * self._max_speed
        return max(0.0, (seconds - self.CREDIT) / self._max_speed - elapsed)
