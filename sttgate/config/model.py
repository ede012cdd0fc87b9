"""The configuration as the rest of sttgate sees it: typed, complete and frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, Field, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from sttgate.config import scalars
from sttgate.errors import Problem
from sttgate.plugins import Plugins
from sttgate.provider import Options, ProviderSpec
from sttgate.stores import StoreSpec

SHIPPED: Mapping[str, Any] = MappingProxyType(
    {
        "providers": {"deepgram": {}, "moonshine": {}, "echo": {}},
        "chain": ["deepgram", "moonshine"],
        "transcripts": {"use": "sqlite"},
        "recordings": {"use": "files"},
    }
)
"""What holds for the sections that name plugins when a configuration leaves them out."""

REDACTED = "********"

_SECRET_NAME = re.compile(r"(?:.*_)?(?:key|token|secret|password)s?", re.IGNORECASE)


class ServerConfig(Options):
    """Where the gateway listens."""

    host: str = Field("127.0.0.1", min_length=1)
    """The address to listen on; 0.0.0.0 for every one this machine has."""
    port: int = Field(8000, ge=0, le=65535)
    """The port to listen on; 0 for any that is free."""
    max_sessions: int = Field(1000, ge=1)
    """Sessions at a time; one more is refused with the error `capacity`."""
    lame_duck_s: float = Field(0.0, ge=0, le=3600)
    """Seconds to go on as before after SIGTERM, while `/readyz` already says 503."""
    drain_timeout_s: float = Field(25.0, ge=0, le=86400)
    """Seconds running sessions then have to finish by themselves."""


class SpoolConfig(Options):
    """Where the audio and the words of running sessions lie until they are stored."""

    path: Path = Path("data/spool")
    """A folder on a local disk."""
    min_free_mb: int = Field(100, ge=0)
    """New sessions are refused while the disk has less room than this, in MiB."""
    sync_interval_s: float = Field(1.0, ge=0, le=3600)
    """Seconds of audio and words a power cut can take at most; 0 leaves that to the system."""


class PluginsConfig(Options):
    """Which plugins are loaded besides, or not although, they are installed."""

    dirs: tuple[Path, ...] = ()
    """Folders of drop-in plugins; without this key, ``plugins`` if it exists."""
    disabled: tuple[str, ...] = ()
    """Names of plugins that are not loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """A provider as configured: ``spec.factory(options)`` makes it."""

    name: str
    spec: ProviderSpec
    options: BaseModel = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """A store as configured: ``spec.factory(options)`` makes it."""

    spec: StoreSpec
    options: BaseModel = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration, checked. ``path`` is None when there is no file; paths are absolute.

    ``base`` is the folder that relative paths start from. ``chain`` names the providers of a session
    that asks for none, in the order they are tried. ``warnings`` do not keep it from being used.
    """

    path: Path | None
    base: Path
    server: ServerConfig
    providers: Mapping[str, ProviderConfig]
    chain: tuple[str, ...]
    transcripts: StoreConfig
    recordings: StoreConfig
    spool: SpoolConfig
    plugins: Plugins = field(repr=False)
    warnings: tuple[Problem, ...] = ()

    def dump(self, *, redact: bool = True) -> str:
        """Return the effective configuration as YAML, with ``********`` for secrets if ``redact``."""
        tree = {
            "server": plain(self.server, redact),
            "providers": {
                name: {"use": provider.spec.name, **plain(provider.options, redact)}
                for name, provider in self.providers.items()
            },
            "chain": list(self.chain),
            "transcripts": {
                "use": self.transcripts.spec.name,
                **plain(self.transcripts.options, redact),
            },
            "recordings": {
                "use": self.recordings.spec.name,
                **plain(self.recordings.options, redact),
            },
            "spool": plain(self.spool, redact),
            "plugins": {
                "dirs": [str(folder) for folder in self.plugins.dirs],
                "disabled": [plugin.name for plugin in self.plugins.disabled],
            },
        }
        return scalars.write(tree)


def plain(options: BaseModel, redact: bool) -> dict[str, Any]:
    """Return options as text, numbers, lists and blocks of them."""
    return {
        name: _plain(name, value, redact)
        for name, value in options.model_dump(by_alias=True).items()
    }


def _plain(name: str, value: Any, redact: bool) -> Any:
    if isinstance(value, SecretStr | SecretBytes):
        # an empty secret says that there is none, which is worth seeing
        if redact:
            return REDACTED if value.get_secret_value() else ""
        value = value.get_secret_value()
    if isinstance(value, Mapping):
        return {str(key): _plain(str(key), inner, redact) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(name, inner, redact) for inner in value]
    value = to_jsonable_python(value, fallback=str, inf_nan_mode="constants")
    if redact and isinstance(value, str) and value and _SECRET_NAME.fullmatch(name):
        return REDACTED
    return value
