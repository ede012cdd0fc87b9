"""The providers a session may use, each opened once per process, in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from sttgate.errors import ProviderError, ProviderTimeout, ProviderUnavailable
from sttgate.provider import Provider

log = structlog.get_logger(__name__)

_OPEN_TIMEOUT = 30.0  # seconds; a model may have to be read from a slow disk
_CLOSE_TIMEOUT = 5.0


class ConfiguredProvider:
    """A provider under the name it has in the configuration."""

    def __init__(self, name: str, provider: Provider) -> None:
        self.name = name
        self.provider = provider
        self._opening: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the provider opened without an error."""
        task = self._opening
        return task is not None and task.done() and not task.cancelled() and not task.exception()

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
        except Exception as error:
            raise ProviderUnavailable(
                f"provider {self.name!r} does not open: {type(error).__name__}: {error}"
            ) from error

    def _log_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("provider_open_failed", provider=self.name, error=str(error))


Chain = Sequence[ConfiguredProvider]
"""Providers in the order they are tried."""
