"""Spans for OpenTelemetry: short ones, sent as they end, each linked to its session's.

A span as long as a session would be sent hours late, and instrumented HTTP would trace queries with
their tokens. So ``stt.session`` ends when the session does, and what happens in it, connecting a
provider (``stt.provider.connect``) and a final (``stt.segment``), are traces of their own with a
link to it. opentelemetry is imported only when ``traces.endpoint`` is set.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from sttgate.config.model import TracesConfig
from sttgate.gateway import Gateway
from sttgate.lineup import StartupError
from sttgate.session.entries import Transcript
from sttgate.session.params import SessionParams

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

log = structlog.get_logger(__name__)

_FLUSH = 5.0  # seconds the last spans have at the end


def traced(
    gateway: Gateway, config: TracesConfig
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a cleanup context that has ``gateway`` traced to ``config.endpoint``, if there is one.

    Entering it raises StartupError when the extra ``otel`` is not installed.
    """

    async def context(app: web.Application) -> AsyncIterator[None]:
        if config.endpoint is None:
            yield
            return
        provider = _provider(config.endpoint)
        gateway.tracing = Traces(provider, words=config.words).begin
        yield
        # It waits for the collector, so not on the loop.
        await asyncio.get_running_loop().run_in_executor(None, provider.shutdown)

    return context


def _provider(endpoint: str) -> TracerProvider:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise StartupError(
            "'traces.endpoint' is set, and OpenTelemetry is not installed: "
            "`pip install 'sttgate[otel]'`, or take that key out of the configuration"
        ) from error
    resource = Resource.create({"service.name": "sttgate", "service.version": version("sttgate")})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint, timeout=_FLUSH)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class Traces:
    """Begins the trace of each session; ``words`` puts what was said into it."""

    def __init__(self, provider: TracerProvider, *, words: bool = False) -> None:
        self._tracer = provider.get_tracer("sttgate", version("sttgate"))
        self._words = words

    def begin(self, params: SessionParams) -> Trace:
        """Return the trace of a session that begins now."""
        span = self._tracer.start_span(
            "stt.session",
            attributes={"sttgate.session": params.id, "sttgate.protocol": params.protocol},
        )
        return Trace(self._tracer, span, params.id, self._words)


class Trace:
    """A ``SessionTrace`` (see `session/tracing.py`) that makes spans."""

    def __init__(self, tracer: Tracer, span: Span, session_id: str, words: bool) -> None:
        self._tracer = tracer
        self._span = span
        self._session_id = session_id
        self._words = words

    def connected(self, provider: str, seconds: float) -> None:
        """Make the span of a stream that took its first audio."""
        self._past("stt.provider.connect", seconds, provider).end()

    def connect_failed(self, provider: str, seconds: float, code: str) -> None:
        """Make the span of a stream that failed before."""
        from opentelemetry.trace import Status, StatusCode

        span = self._past("stt.provider.connect", seconds, provider)
        span.set_attribute("error.type", code)
        span.set_status(Status(StatusCode.ERROR))
        span.end()

    def segment(self, provider: str, final: Transcript, spoken_s: float | None) -> None:
        """Make the span of a final, from its first audio to its delivery."""
        span = self._past("stt.segment", spoken_s or 0.0, provider)
        span.set_attribute("sttgate.utterance", final.utterance_id)
        span.set_attribute("sttgate.channel", final.channel)
        span.set_attribute("sttgate.start_s", final.start)
        span.set_attribute("sttgate.end_s", final.end)
        if self._words:
            span.set_attribute("sttgate.text", final.text)
        span.end()

    def ended(self, outcome: str, reason: str, provider: str | None) -> None:
        """End the session's span."""
        self._span.set_attribute("sttgate.outcome", outcome)
        self._span.set_attribute("sttgate.reason", reason)
        if provider is not None:
            self._span.set_attribute("sttgate.provider", provider)
        self._span.end()

    def _past(self, name: str, seconds: float, provider: str) -> Span:
        """Return a span of its own trace that began ``seconds`` ago."""
        from opentelemetry.context import Context
        from opentelemetry.trace import Link

        return self._tracer.start_span(
            name,
            context=Context(),  # no parent
            links=[Link(self._span.get_span_context())],
            start_time=time.time_ns() - int(seconds * 1e9),
            attributes={"sttgate.session": self._session_id, "sttgate.provider": provider},
        )
