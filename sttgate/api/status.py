"""The state of the gateway over HTTP, for operators. Figures count from its start."""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from aiohttp import web

from sttgate.api.instants import Instant, instant
from sttgate.api.models import AnswerModel
from sttgate.api.providers import State
from sttgate.api.routing import Answer, Operation
from sttgate.gateway import Gateway
from sttgate.plugins import PluginInfo
from sttgate.session.chain import ConfiguredProvider
from sttgate.workers.sums import Sums


class SessionsStatus(AnswerModel):
    """Sessions of the gateway."""

    live: int
    """Sessions that are open or being stored."""
    max: int | None
    """How many there may be at a time."""
    ended: dict[str, int]
    """How many ended since the start, by state."""


class LastError(AnswerModel):
    """Why a stream of a provider failed the last time."""

    code: str
    message: str
    at: Instant


class ProviderStatus(AnswerModel):
    """How a provider does."""

    name: str
    plugin: str | None
    state: State
    in_chain: bool
    breaker: Literal["closed", "open", "half-open"] | None
    """`open`: sessions pass it over for a while; `half-open`: one session tries it."""
    last_error: LastError | None
    errors: dict[str, int]
    """Streams that failed since the start, by code."""
    reason: str | None
    """Why it is skipped."""


class StoresStatus(AnswerModel):
    """Whether what comes can be stored."""

    spool: Literal["ok", "failing"]
    transcripts: Literal["ok", "failing"]
    recordings: Literal["ok", "failing"]


class SpoolStatus(AnswerModel):
    """Where running sessions lie."""

    free_bytes: int | None
    """Room on its disk; null if that cannot be told."""
    bytes: int
    """Audio of live sessions."""


class PluginStatus(AnswerModel):
    """A plugin that was found."""

    name: str
    distribution: str | None
    version: str | None
    state: Literal["loaded", "disabled", "broken"]


class Status(AnswerModel):
    """The state of the gateway."""

    version: str
    uptime_s: float
    ready: bool
    """What `/readyz` says."""
    draining: bool
    """Whether it is going away."""
    sessions: SessionsStatus
    switches: int
    """Streams that replaced a failed one since the start."""
    providers: list[ProviderStatus]
    stores: StoresStatus
    spool: SpoolStatus
    plugins: list[PluginStatus]
    warnings: list[str]
    """About the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """What is counted, with the figures of all workers if there are several.

    ``ended`` sessions by state; ``errors`` by provider and code.
    """

    live: int
    ended: dict[str, int]
    switches: int
    errors: dict[str, dict[str, int]]
    spool_bytes: int


class StatusApi:
    """The operation that tells the state."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._started_at = time.monotonic()

    def operations(self) -> Iterable[Operation]:
        """Return the operation."""
        return [
            Operation(
                name="getStatus",
                method="GET",
                path="/status",
                handler=self.status,
                scope="admin",
                summary="See how the gateway does",
                text="Latencies are not measured yet, so there are none.",
                answers=(Answer(text="The state.", model=Status),),
            )
        ]

    async def status(self, request: web.Request) -> Status:
        """Return the state; the stores are asked whether they can write."""
        gateway = self._gateway
        stores = await gateway.check_stores()
        texts = await gateway.peers.metrics()
        counted = _of_all(Sums(texts)) if texts is not None else _of(gateway)
        return Status(
            version=version("sttgate"),
            uptime_s=round(time.monotonic() - self._started_at, 3),
            ready=gateway.welcomes and all(stores.values()),
            draining=not gateway.welcomes,
            sessions=self._sessions(counted),
            switches=counted.switches,
            providers=[*self._providers(counted)],
            stores=StoresStatus.model_validate(
                {name: "ok" if good else "failing" for name, good in stores.items()}
            ),
            spool=await self._spool(counted),
            plugins=[*self._plugins()],
            warnings=list(gateway.warnings),
        )

    def _sessions(self, counted: _Counted) -> SessionsStatus:
        most = self._gateway.admission.max_sessions
        return SessionsStatus(
            live=counted.live, max=None if most == sys.maxsize else most, ended=counted.ended
        )

    def _providers(self, counted: _Counted) -> Iterator[ProviderStatus]:
        gateway = self._gateway
        for provider in gateway.providers.values():
            yield self._provider(provider, counted)
        for skip in gateway.skipped:
            yield ProviderStatus(
                name=skip.name,
                plugin=None,
                state="skipped",
                in_chain=False,
                breaker=None,
                last_error=None,
                errors={},
                reason=skip.reason,
            )

    def _provider(self, provider: ConfiguredProvider, counted: _Counted) -> ProviderStatus:
        gateway = self._gateway
        failure = provider.breaker.last_failure
        return ProviderStatus(
            name=provider.name,
            plugin=provider.plugin,
            state=provider.state,
            in_chain=provider in gateway.chain,
            breaker=provider.breaker.health.value,
            last_error=LastError(code=failure.code, message=failure.message, at=instant(failure.at))
            if failure is not None
            else None,
            errors=counted.errors.get(provider.name, {}),
            reason=None,
        )

    async def _spool(self, counted: _Counted) -> SpoolStatus:
        gateway = self._gateway
        try:
            free: int | None = await gateway.spool.free_bytes()
        except OSError:
            free = None
        return SpoolStatus(free_bytes=free, bytes=counted.spool_bytes)

    def _plugins(self) -> Iterator[PluginStatus]:
        plugins = self._gateway.plugins
        for info in plugins.loaded:
            yield _plugin(info, "loaded")
        for info in plugins.disabled:
            yield _plugin(info, "disabled")
        for error in plugins.errors:
            if error.info is not None:
                yield _plugin(error.info, "broken")


def _of(gateway: Gateway) -> _Counted:
    ended: Counter[str] = Counter()
    for (_, _, outcome), count in gateway.tally.sessions.items():
        ended[str(outcome)] += count
    errors: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (provider, code), count in gateway.tally.provider_errors.items():
        errors[provider][str(code)] = count
    return _Counted(
        live=len(gateway.sessions),
        ended=dict(ended),
        switches=gateway.tally.switches,
        errors=errors,
        spool_bytes=sum(session.audio.size for session in gateway.sessions.values()),
    )


def _of_all(sums: Sums) -> _Counted:
    errors = "sttgate_provider_errors_total"
    return _Counted(
        live=int(sums.total("sttgate_sessions_active")),
        ended=_whole(sums.by("sttgate_sessions_total", "outcome")),
        switches=int(sums.total("sttgate_provider_switches_total")),
        errors={
            provider: _whole(sums.by(errors, "code", provider=provider))
            for provider in sums.by(errors, "provider")
        },
        spool_bytes=int(sums.total("sttgate_spool_bytes")),
    )


def _whole(values: Mapping[str, float]) -> dict[str, int]:
    return {name: int(value) for name, value in values.items()}


def _plugin(info: PluginInfo, state: Literal["loaded", "disabled", "broken"]) -> PluginStatus:
    return PluginStatus(
        name=info.name, distribution=info.distribution, version=info.version, state=state
    )
