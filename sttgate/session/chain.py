"""The providers a session may use, each opened once per process, and what is known of their health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import structlog

from sttgate.errors import (
    ErrorCode,
    ProviderAuth,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from sttgate.provider import Provider

log = structlog.get_logger(__name__)

_OPEN_TIMEOUT = 30.0  # seconds; a model may have to be read from a slow disk
_CLOSE_TIMEOUT = 5.0
_FAILURES_TO_OPEN = 3  # streams in a row, of whatever session
_FIRST_COOL_DOWN = 5.0  # seconds, doubled while probes fail
_MAX_COOL_DOWN = 60.0


ProviderState = Literal["idle", "opening", "ready", "open_failed"]


class Health(StrEnum):
    """The state of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a stream failed, and when (seconds since the epoch)."""

    code: ErrorCode
    message: str
    at: float


class Breaker:
    """Keeps sessions away from a provider that fails: the state is shared by all of them.

    Open, it admits nobody until its cool-down is over; then one stream may probe (half-open), and
    its first settled audio closes the breaker, its failure opens it for twice as long.
    """

    def __init__(self) -> None:
        self.health = Health.CLOSED
        self.last_failure: Failure | None = None
        self._failures = 0
        self._cool_down = _FIRST_COOL_DOWN
        self._until = 0.0

    def admits(self) -> bool:
        """Whether a stream should try this provider now; the first to hear yes after a cool-down probes."""
        if self.health is Health.CLOSED:
            return True
        now = time.monotonic()
        if now < self._until:
            return False
        self.health = Health.HALF_OPEN
        self._until = now + self._cool_down  # a probe that never reports must not block for ever
        return True

    def succeeded(self) -> None:
        """Note that the provider settled audio."""
        self.health = Health.CLOSED
        self._failures = 0
        self._cool_down = _FIRST_COOL_DOWN

    def failed(self, error: ProviderError) -> None:
        """Note that a stream failed."""
        if isinstance(error, ProviderRejected):
            return  # that was about this one request
        self.last_failure = Failure(error.code, str(error), time.time())
        self._failures += 1
        if self.health is Health.HALF_OPEN:
            self._cool_down = min(2 * self._cool_down, _MAX_COOL_DOWN)
        elif self._failures < _FAILURES_TO_OPEN and not isinstance(error, ProviderAuth):
            return
        self.health = Health.OPEN
        wait = max(self._cool_down, min(error.retry_after or 0.0, _MAX_COOL_DOWN))
        self._until = time.monotonic() + wait


class ConfiguredProvider:
    """A provider under the name it has in the configuration; ``plugin`` names who offers it."""

    def __init__(self, name: str, provider: Provider, plugin: str | None = None) -> None:
        self.name = name
        self.provider = provider
        self.plugin = plugin
        self.breaker = Breaker()
        self._opening: asyncio.Task[None] | None = None
        self._seats = 0

    @property
    def has_room(self) -> bool:
        """Whether one more stream is within what the provider says it can take."""
        most = self.provider.capabilities.max_streams
        return (most is None or self._seats < most) and not self.provider.busy

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Count a stream, also while it is tried again."""
        self._seats += 1
        try:
            yield
        finally:
            self._seats -= 1

    @property
    def is_open(self) -> bool:
        """Whether the provider opened without an error."""
        task = self._opening
        return task is not None and task.done() and not task.cancelled() and not task.exception()

    @property
    def state(self) -> ProviderState:
        """Where it stands; one that no session asked for yet, outside of the chain, is ``idle``."""
        if self._opening is None:
            return "idle"
        if not self._opening.done():
            return "opening"
        return "ready" if self.is_open else "open_failed"

    def open_in_background(self) -> None:
        """Start opening, unless it is open or opening; after a failure start again."""
        task = self._opening
        if task is None or (task.done() and not self.is_open):
            self._opening = asyncio.create_task(self._open(), name=f"open {self.name}")
            self._opening.add_done_callback(self._log_failure)

    async def ready(self) -> Provider:
        """Return the provider once it is open; ProviderError if it does not open."""
        self.open_in_background()
        assert self._opening is not None
        await asyncio.shield(self._opening)
        return self.provider

    async def close(self) -> None:
        """Close the provider if it was opened; never raises, never hangs."""
        if self._opening is None:
            return
        if not self._opening.done():
            self._opening.cancel()
        await asyncio.wait({self._opening})
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self.provider.close()
        except Exception:
            log.exception("provider_close_failed", provider=self.name)

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT):
                await self.provider.open()
        except ProviderError:
            raise
        except TimeoutError as error:
            raise ProviderTimeout(
                f"provider {self.name!r} did not open within {_OPEN_TIMEOUT:g} s"
            ) from error
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # by us, in ``close``
            raise ProviderUnavailable(
                f"provider {self.name!r} does not open: {type(error).__name__}: {error}"
            ) from error

    def _log_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("provider_open_failed", provider=self.name, error=str(error))


Chain = Sequence[ConfiguredProvider]
"""Providers in the order they are tried."""


def next_provider(candidates: list[ConfiguredProvider]) -> ConfiguredProvider:
    """Take out and return the first that has room and is healthy, else healthy, else simply the first."""
    by_choice = (
        *(p for p in candidates if p.has_room),
        *(p for p in candidates if not p.has_room),
    )
    chosen = next((p for p in by_choice if p.breaker.admits()), candidates[0])
    candidates.remove(chosen)
    return chosen
