"""``/metrics`` for Prometheus, put together from plain counters at the moment it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from sttgate.access.gate import needs
from sttgate.gateway import Gateway
from sttgate.session.histogram import Histogram
from sttgate.session.tally import LatencyKind, Tally
from sttgate.workers.sums import Sums


class GatewayCollector(Collector):
    """Reads a gateway's state. Labels come from fixed sets only: never a session or a key."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family."""
        gateway, tally = self._gateway, self._gateway.tally
        live = list(gateway.sessions.values())
        yield _gauge("sessions_active", "Sessions that are open or being stored.", len(live))
        most = gateway.admission.max_sessions
        limit = float("inf") if most == sys.maxsize else most
        yield _gauge("sessions_max", "Sessions there may be at a time.", limit)
        sessions = CounterMetricFamily(
            "sttgate_sessions", "Sessions that ended.", labels=("provider", "protocol", "outcome")
        )
        for labels, count in tally.sessions.items():
            sessions.add_metric(labels, count)
        yield sessions
        yield _histogram(
            "session_duration_seconds",
            "From the start of a session to its outcome.",
            ("provider",),
            {(provider,): each for provider, each in tally.durations.items()},
        )
        errors = CounterMetricFamily(
            "sttgate_provider_errors", "Streams that failed.", labels=("provider", "code")
        )
        for pair, count in tally.provider_errors.items():
            errors.add_metric(pair, count)
        yield errors
        rejected = CounterMetricFamily("sttgate_rejected", "Requests refused.", labels=("reason",))
        for reason, count in tally.rejected.items():
            rejected.add_metric((reason,), count)
        yield rejected
        reloads = CounterMetricFamily(
            "sttgate_config_reloads", "Attempts to use a changed file.", labels=("outcome",)
        )
        for outcome in ("applied", "failed"):
            reloads.add_metric((outcome,), tally.reloads[outcome])
        yield reloads
        yield _counter("provider_switches", "Streams that replaced a failed one.", tally.switches)
        yield _counter("segments", "Finals.", tally.segments)
        yield _counter("resumes", "Sessions taken up again on a new socket.", tally.resumes)
        received = tally.audio_s + sum(session.audio_untold_s for session in live)
        yield _counter("audio_received_seconds", "Audio received.", received)
        yield _counter("audio_replayed_seconds", "Audio heard again.", tally.replayed_s)
        yield _counter("audio_unrecorded_seconds", "Audio no disk took.", tally.unrecorded_s)
        backlog = sum(session.backlog_s for session in live)
        yield _gauge("audio_backlog_seconds", "Audio received and not yet final.", backlog)
        outage = max((session.store_outage_s for session in live), default=0.0)
        yield _gauge(
            "store_outage_seconds", "For how long a store has refused, 0 if none does.", outage
        )
        failing = float(gateway.spool.error is not None)
        yield _gauge("spool_failing", "Whether the spool's disk refuses to write.", failing)
        yield _gauge("spool_bytes", "Audio of live sessions.", sum(s.audio.size for s in live))
        yield from _latencies(tally)
        yield _histogram(
            "store_write_seconds",
            "What took a store to write, once it worked.",
            ("op",),
            {(op,): each for op, each in tally.store_writes.items()},
        )
        yield _histogram(
            "event_loop_lag_seconds",
            "How late the event loop is, looked at twice a second.",
            (),
            {(): tally.loop_lag},
        )
        yield _gauge("draining", "Whether the gateway is going away.", float(not gateway.ready))
        up = GaugeMetricFamily(
            "sttgate_provider_up",
            "Whether the circuit to a provider is closed.",
            labels=("provider",),
        )
        for provider in gateway.chain:
            up.add_metric((provider.name,), float(provider.breaker.health == "closed"))
        yield up
        info = GaugeMetricFamily(
            "sttgate_build_info", "The version that runs.", labels=("version",)
        )
        info.add_metric((version("sttgate"),), 1)
        yield info


class Metrics:
    """The route."""

    def __init__(self, gateway: Gateway) -> None:
        self._peers = gateway.peers
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(GatewayCollector(gateway))
        ProcessCollector(registry=self._registry)  # memory, CPU, descriptors; nothing beyond Linux

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes to add to an application."""
        return [web.get("/metrics", self.show)]

    @needs("admin")
    async def show(self, request: web.Request) -> web.Response:
        """Return the metrics of all workers as text."""
        texts = await self._peers.metrics()
        body = Sums(texts).text() if texts is not None else self.text()
        return web.Response(body=body.encode(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def text(self) -> str:
        """Return the metrics of this process."""
        return generate_latest(self._registry).decode()


_LATENCIES: tuple[tuple[LatencyKind, str, str], ...] = (
    (
        "first_interim",
        "first_interim_latency_seconds",
        "From the first word of an utterance to its first interim.",
    ),
    ("final", "final_latency_seconds", "From the end of a final's audio to its delivery."),
    ("connect", "provider_connect_seconds", "How long new streams kept the first audio waiting."),
)


def _latencies(tally: Tally) -> Iterator[Metric]:
    for kind, name, text in _LATENCIES:
        of_kind: dict[tuple[str, ...], Histogram] = {
            (provider,): each for (k, provider), each in tally.latency.items() if k == kind
        }
        yield _histogram(name, text, ("provider",), of_kind)


def _histogram(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], Histogram]
) -> Metric:
    family = HistogramMetricFamily(f"sttgate_{name}", text, labels=labels)
    for of, histogram in values.items():
        buckets = [(_bound(bound), count) for bound, count in histogram.cumulative()]
        family.add_metric(of, buckets, histogram.sum)
    return family


def _bound(value: float) -> str:
    return "+Inf" if value == float("inf") else str(value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"sttgate_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"sttgate_{name}", text, value=value)
