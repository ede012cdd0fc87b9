"""The configuration as the rest of sttgate sees it: typed, complete and frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, Field, IPvAnyNetwork, SecretBytes, SecretStr
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
    workers: int = Field(1, ge=1, le=128)
    """Processes that serve the port together; more than one need Linux."""
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


class JwtConfig(Options):
    """Tokens of another issuer, such as the identity provider of a company."""

    jwks_url: str = Field(pattern=r"^https?://")
    """Where it publishes the keys it signs with."""
    issuer: str = Field(min_length=1)
    """What the claim `iss` must be."""
    audience: str = Field(min_length=1)
    """What the claim `aud` must hold."""
    algorithms: tuple[Literal["RS256", "PS256", "ES256", "EdDSA"], ...] = Field(
        ("RS256", "ES256"), min_length=1
    )
    """The signatures that are accepted."""


class AccessConfig(Options):
    """Who may use the gateway. Beyond this machine (`server.host`) a key is always asked for."""

    required: bool = False
    """Ask for a key on the loopback address, too."""
    insecure: bool = False
    """Let everybody in who reaches the address, although others than this machine can."""
    keys: Path = Path("data/keys.json")
    """The API keys that `sttgate keys` makes; hashes only."""
    secret: Path = Path("data/access.secret")
    """What tokens are signed with; made if it is not there. Instances may share it."""
    origins: tuple[str, ...] = ()
    """Web pages from elsewhere that may use the gateway, such as `https://app.example.com`."""
    jwt: JwtConfig | None = None
    """Take the tokens of another issuer, too."""


class LimitsConfig(Options):
    """What callers can take of the gateway; an empty value is no limit."""

    sessions_per_key: int | None = Field(None, ge=1)
    """Sessions at a time of one API key; a key may have a limit of its own."""
    sessions_per_address: int | None = Field(None, ge=1)
    """Sessions at a time from one address (of IPv6, one /64 network)."""
    connects_per_minute: int | None = Field(None, ge=1)
    """New WebSockets from one address."""
    connections: int | None = Field(4000, ge=1)
    """WebSockets at a time, whether a session runs on them or not."""
    connections_per_address: int | None = Field(None, ge=1)
    """WebSockets at a time from one address."""
    start_s: float | None = Field(10.0, gt=0)
    """Seconds in which a client of protocol 2 that says nothing is closed before its first `start`."""
    idle_s: float | None = Field(600.0, gt=0)
    """Seconds without audio after which a session ends."""
    max_session_s: float | None = Field(14_400.0, gt=0)
    """Seconds after which a session ends."""
    max_speed: float | None = Field(None, ge=1)
    """How many times faster than real time audio is taken, after the first 30 s of it."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Networks whose `X-Forwarded-For` tells the address of a client, such as 10.0.0.0/8."""


class UploadsConfig(Options):
    """Files to transcribe, sent to `POST /api/v1/transcriptions`."""

    path: Path = Path("data/uploads")
    """A folder where they lie until a session has all their audio."""
    max_mb: int = Field(500, ge=1)
    """How large a file may be, in MiB."""
    max_minutes: float = Field(240.0, gt=0, le=10_000)
    """How long its audio may be."""
    at_once: int = Field(2, ge=1)
    """How many are transcribed at the same time."""
    waiting: int = Field(20, ge=0)
    """How many more may arrive or wait for their turn; one more is refused."""


class RetentionConfig(Options):
    """How long conversations are kept; an empty value keeps them for good."""

    recordings_days: float | None = Field(None, gt=0)
    """Days after which the audio of a session is deleted."""
    transcripts_days: float | None = Field(None, gt=0)
    """Days after which everything of a session is deleted."""


class LogConfig(Options):
    """What is written to stderr; words, audio and keys never are."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is written; `--debug` beats it."""
    format: Literal["auto", "console", "json"] = "auto"
    """Lines for people, or JSON; `auto` is the first on a terminal, the second elsewhere."""


class MetricsConfig(Options):
    """Where `/metrics` is. On an address of its own nobody is asked for a key."""

    port: int | None = Field(None, ge=0, le=65535)
    """A port for `/metrics`, `/livez` and `/readyz`; without one they are on `server.port`."""
    host: str = Field("127.0.0.1", min_length=1)
    """The address of that port, which only Prometheus should reach."""


class TracesConfig(Options):
    """Where spans go (OpenTelemetry, extra `otel`); without an endpoint there are none."""

    endpoint: str | None = Field(None, pattern=r"^https?://")
    """A collector's address for OTLP over HTTP, such as `http://localhost:4318/v1/traces`."""
    words: bool = False
    """Put what was said into the spans of segments."""


class PluginsConfig(Options):
    """Which plugins are loaded besides, or not although, they are installed."""

    dirs: tuple[Path, ...] = ()
    """Folders of drop-in plugins; without this key, ``plugins`` if it exists."""
    disabled: tuple[str, ...] = ()
    """Names of plugins that are not loaded."""
    allowed: tuple[str, ...] | None = None
    """Names of the only plugins that are loaded, shipped ones too; without a value, all are."""


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
    access: AccessConfig
    limits: LimitsConfig
    uploads: UploadsConfig
    retention: RetentionConfig
    log: LogConfig
    metrics: MetricsConfig
    traces: TracesConfig
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
            "access": plain(self.access, redact),
            "limits": plain(self.limits, redact),
            "uploads": plain(self.uploads, redact),
            "retention": plain(self.retention, redact),
            "log": plain(self.log, redact),
            "metrics": plain(self.metrics, redact),
            "traces": plain(self.traces, redact),
            "plugins": {
                "dirs": [str(folder) for folder in self.plugins.dirs],
                "disabled": [
                    plugin.name
                    for plugin in self.plugins.disabled
                    if self.plugins.allows(plugin.name)
                ],
                "allowed": None if self.plugins.allowed is None else list(self.plugins.allowed),
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
    if isinstance(value, Path):
        return str(value)  # where keys lie is no secret, and worth seeing
    if isinstance(value, Mapping):
        return {str(key): _plain(str(key), inner, redact) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(name, inner, redact) for inner in value]
    value = to_jsonable_python(value, fallback=str, inf_nan_mode="constants")
    if redact and isinstance(value, str) and value and _SECRET_NAME.fullmatch(name):
        return REDACTED
    return value
