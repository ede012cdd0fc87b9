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
from sttgate.api.models import AnswerModel, UploadQueue, describe_queue
from sttgate.api.providers import State
from sttgate.api.routing import Answer, Operation
from sttgate.gateway import Gateway
from sttgate.plugins import PluginInfo
from sttgate.session.chain import ConfiguredProvider
from sttgate.session.histogram import Histogram
from sttgate.session.tally import LatencyKind
from sttgate.workers.sums import Sums


class Quantiles(AnswerModel):
    """How long something took, in seconds, since the start."""

    p50: float
    p95: float
    count: int
    """Of how many."""


class SessionsStatus(AnswerModel):
    """Sessions of the gateway."""

    live: int
    """Sessions that are open or being stored."""
    max: int | None
    """How many there may be at a time."""
    ended: dict[str, int]
    """How many ended since the start, by state."""
    rejected: dict[str, int]
    """How many were refused since the start, by reason."""
    resumed: int
    """How many were taken up again on a new connection since the start."""
    audio_s: float
    """Seconds of audio received since the start."""
    backlog_s: float
    """Seconds of audio of live sessions whose words are not final."""


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
    sessions: int
    """Live sessions that it hears."""
    connect: Quantiles | None
    """How long new streams kept the first audio waiting; null if there were none."""
    first_interim: Quantiles | None
    """From the first word of an utterance to its first interim."""
    final: Quantiles | None
    """From the end of a final's audio to its delivery."""


class StoresStatus(AnswerModel):
    """Whether what comes can be stored."""

    spool: Literal["ok", "failing"]
    transcripts: Literal["ok", "failing"]
    recordings: Literal["ok", "failing"]
    outage_s: float
    """For how many seconds a store has refused; 0 if none does."""


class SpoolStatus(AnswerModel):
    """Where running sessions lie."""

    free_bytes: int | None
    """Room on its disk; null if that cannot be told."""
    bytes: int
    """Audio of live sessions."""


class LimitsStatus(AnswerModel):
    """What one caller can have; null is no limit."""

    sessions_per_key: int | None
    sessions_per_address: int | None
    connects_per_minute: int | None
    idle_s: float | None
    max_session_s: float | None
    max_speed: float | None


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
    chain: list[str]
    """Those a session is given that asks for none, in the order they are tried."""
    stores: StoresStatus
    spool: SpoolStatus
    uploads: UploadQueue
    limits: LimitsStatus
    loop_lag: Quantiles | None
    """How late the event loop is, in seconds since the start; null in the first half second."""
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
    rejected: dict[str, int]
    resumed: int
    audio_s: float
    backlog_s: float
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
                answers=(Answer(text="The state.", model=Status),),
            )
        ]

    async def status(self, request: web.Request) -> Status:
        """Return the state; the stores are asked whether they can write."""
        gateway = self._gateway
        readiness = await gateway.readiness()
        texts = await gateway.peers.metrics()
        counted = _of_all(Sums(texts)) if texts is not None else _of(gateway)
        return Status(
            version=version("sttgate"),
            uptime_s=round(time.monotonic() - self._started_at, 3),
            ready=readiness.ready,
            draining=readiness.draining,
            sessions=self._sessions(counted),
            switches=counted.switches,
            providers=[*self._providers(counted)],
            chain=[provider.name for provider in gateway.chain],
            stores=StoresStatus.model_validate(
                {name: "ok" if good else "failing" for name, good in readiness.stores.items()}
                | {"outage_s": round(readiness.outage_s, 3)}
            ),
            spool=await self._spool(counted),
            uploads=describe_queue(gateway.uploads),
            limits=LimitsStatus.model_validate(gateway.admission.limits, from_attributes=True),
            loop_lag=_quantiles(gateway.tally.loop_lag),
            plugins=[*self._plugins()],
            warnings=list(gateway.warnings),
        )

    def _sessions(self, counted: _Counted) -> SessionsStatus:
        most = self._gateway.admission.max_sessions
        return SessionsStatus(
            live=counted.live,
            max=None if most == sys.maxsize else most,
            ended=counted.ended,
            rejected=counted.rejected,
            resumed=counted.resumed,
            audio_s=round(counted.audio_s, 3),
            backlog_s=round(counted.backlog_s, 3),
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
                sessions=0,
                connect=None,
                first_interim=None,
                final=None,
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
            sessions=sum(
                session.provider == provider.name for session in gateway.sessions.values()
            ),
            connect=self._latency("connect", provider.name),
            first_interim=self._latency("first_interim", provider.name),
            final=self._latency("final", provider.name),
        )

    def _latency(self, kind: LatencyKind, provider: str) -> Quantiles | None:
        return _quantiles(self._gateway.tally.latency.get((kind, provider)))

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
    live = gateway.sessions.values()
    return _Counted(
        live=len(live),
        ended=dict(ended),
        rejected=dict(gateway.tally.rejected),
        resumed=gateway.tally.resumes,
        audio_s=gateway.tally.audio_s + sum(session.audio_untold_s for session in live),
        backlog_s=sum(session.backlog_s for session in live),
        switches=gateway.tally.switches,
        errors=errors,
        spool_bytes=sum(session.audio.size for session in live),
    )


def _of_all(sums: Sums) -> _Counted:
    errors = "sttgate_provider_errors_total"
    return _Counted(
        live=int(sums.total("sttgate_sessions_active")),
        ended=_whole(sums.by("sttgate_sessions_total", "outcome")),
        rejected=_whole(sums.by("sttgate_rejected_total", "reason")),
        resumed=int(sums.total("sttgate_resumes_total")),
        audio_s=sums.total("sttgate_audio_received_seconds_total"),
        backlog_s=sums.total("sttgate_audio_backlog_seconds"),
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


def _quantiles(histogram: Histogram | None) -> Quantiles | None:
    if histogram is None:
        return None
    p50, p95 = histogram.quantile(0.5), histogram.quantile(0.95)
    if p50 is None or p95 is None:
        return None
    return Quantiles(p50=round(p50, 4), p95=round(p95, 4), count=histogram.count)
