"""A changed configuration on a running gateway: checked as a whole first, then used for new sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import BaseModel

from sttgate.config import Config, StoreConfig
from sttgate.errors import ConfigError, SttgateError
from sttgate.gateway import Gateway

log = structlog.get_logger(__name__)

WATCH_INTERVAL = 1.0  # seconds between two looks at the files

LIVE = {
    *("server.max_sessions", "server.lame_duck_s", "server.drain_timeout_s"),
    *("spool.min_free_mb", "log.level"),
}
_FIXED_SECTIONS = ("server", "spool", "access", "uploads", "log", "metrics", "traces")


class Reloader:
    """Keeps ``gateway`` to what the configuration says; ``load()`` reads it again.

    A configuration with mistakes changes nothing: each mistake is logged, with its place. ``use`` is
    for what else follows the configuration; it is called with one that is good.
    """

    def __init__(
        self,
        config: Config,
        gateway: Gateway,
        load: Callable[[], Config],
        use: Callable[[Config], None] = lambda config: None,
    ) -> None:
        self.config = config
        self._started_with = config
        self._use = use
        self._gateway = gateway
        self._load = load
        self._wanted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to watch the files, and to wait for ``request``."""
        self._tasks = [asyncio.create_task(self._run(), name="reload")]
        if self.config.path is not None:
            files = (self.config.path, self.config.base / ".env")
            self._tasks.append(asyncio.create_task(self._watch(files), name="watch configuration"))

    async def stop(self) -> None:
        """Stop both."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def request(self) -> None:
        """Have the configuration read again, as SIGHUP asks for."""
        self._wanted.set()

    async def reload(self) -> None:
        """Read the configuration and use it, or say what is wrong with it and go on as before."""
        try:
            config = await asyncio.to_thread(self._load)
            self._gateway.reconfigure(config)
        except ConfigError as error:
            for problem in error.problems:
                log.error("config_mistake", problem=str(problem))
            self._failed()
            return
        except SttgateError as error:
            log.error("config_mistake", problem=str(error))
            self._failed()
            return
        except Exception as error:  # a plugin's factory; the sessions must not suffer
            log.error(
                "config_mistake", problem=f"a plugin raised {type(error).__name__}", exc_info=error
            )
            self._failed()
            return
        self._use(config)
        self.config = config
        if waiting := needs_restart(self._started_with, config):
            log.warning("config_needs_restart", keys=waiting)
        self._gateway.tally.reloads["applied"] += 1
        log.info("config_reloaded", chain=[provider.name for provider in self._gateway.chain])

    def _failed(self) -> None:
        self._gateway.tally.reloads["failed"] += 1
        log.warning("config_kept", message="the configuration before goes on")

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self.reload()

    async def _watch(self, files: tuple[Path, ...]) -> None:
        known = seen = await asyncio.to_thread(_stamps, files)
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            before, seen = seen, await asyncio.to_thread(_stamps, files)
            # Twice the same: an editor is not still writing.
            if seen != known and seen == before:
                known = seen
                self.request()


def needs_restart(before: Config, after: Config) -> list[str]:
    """Return the keys that differ and cannot be changed while the gateway runs."""
    then, now = _fixed(before), _fixed(after)
    keys = [*then, *(key for key in now if key not in then)]
    return [key for key in keys if then.get(key) != now.get(key)]


def _fixed(config: Config) -> dict[str, object]:
    """Return the values that hold until the end of the process, by key."""
    sections: dict[str, BaseModel] = {name: getattr(config, name) for name in _FIXED_SECTIONS}
    values: dict[str, object] = {}
    for name in ("transcripts", "recordings"):
        store: StoreConfig = getattr(config, name)
        values[f"{name}.use"] = store.spec.name
        sections[name] = store.options
    for name, section in sections.items():
        values |= {f"{name}.{key}": value for key, value in section}
    values["plugins.dirs"] = config.plugins.dirs
    values["plugins.allowed"] = config.plugins.allowed
    values["plugins.disabled"] = [plugin.name for plugin in config.plugins.disabled]
    return {key: value for key, value in values.items() if key not in LIVE}


def _stamps(files: tuple[Path, ...]) -> list[tuple[int, int, int] | None]:
    stamps: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            status = file.stat()
            stamps.append((status.st_mtime_ns, status.st_ino, status.st_size))
        except OSError:
            stamps.append(None)
    return stamps
