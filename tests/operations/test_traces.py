"""Spans: what a session tells an OpenTelemetry collector, and that nobody pays who has none."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from sttgate.config.model import TracesConfig
from sttgate.lineup import StartupError
from sttgate.operations.traces import Traces, traced
from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.cli.commands import SCRIPT, configure, serve
from tests.gateways import receive_until
from tests.operations.conftest import Serve, gateway_of, transcribe, until

FRAIL: dict[str, object] = {
    "providers": {
        "frail": {"use": "echo", "refuse": True},
        "echo": {"script": list(SCRIPT)},
    },
    "chain": ["frail", "echo"],
}


class Recorder:
    """Keeps the spans of a gateway."""

    def __init__(self, *, words: bool = False) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Traces(provider, words=words).begin

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the finished spans of a name."""
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def __str__(self) -> str:
        return "".join(span.to_json() for span in self._exporter.get_finished_spans())


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """Return a span's attributes without what all of them have in front."""
    return {key.removeprefix("sttgate."): value for key, value in (span.attributes or {}).items()}


async def test_spans_of_a_session(serve: Serve) -> None:
    """Each try to connect and each final is a short trace, linked to the session's; without words."""
    recorder = Recorder()
    client = await serve(**FRAIL)
    gateway_of(client).tracing = recorder.tracing
    began = time.time_ns()
    session_id = await transcribe(client)
    await until(lambda: recorder.named("stt.session"))

    (session,) = recorder.named("stt.session")
    assert attributes(session) == {
        "session": session_id,
        "protocol": "native/2",
        "outcome": "completed",
        "reason": "client",
        "provider": "echo",
    }
    connects = recorder.named("stt.provider.connect")
    failed = [span for span in connects if span.status.status_code is StatusCode.ERROR]
    assert {attributes(span)["provider"] for span in failed} == {"frail"}
    assert {attributes(span)["error.type"] for span in failed} == {"provider_unavailable"}
    assert {attributes(s)["provider"] for s in connects if s not in failed} == {"echo"}
    segments = recorder.named("stt.segment")
    assert [attributes(span)["utterance"] for span in segments] == [1, 2]
    assert 0 <= attributes(segments[0])["start_s"] < attributes(segments[0])["end_s"] <= 6.0
    for span in (*connects, *segments):
        assert span.parent is None
        assert [link.context for link in span.links] == [session.context]
        assert attributes(span)["session"] == session_id
        assert span.start_time is not None
        assert span.end_time is not None
        assert began - 10**9 < span.start_time <= span.end_time <= time.time_ns()
    for word in " ".join(SCRIPT).split():
        assert f'"{word}' not in str(recorder)
    assert SCRIPT[0] not in str(recorder)


async def test_words_on_request(serve: Serve) -> None:
    """What was said is in the spans only for who asks for it."""
    recorder = Recorder(words=True)
    client = await serve(**FRAIL)
    gateway_of(client).tracing = recorder.tracing
    await transcribe(client)
    texts = [attributes(span)["text"] for span in recorder.named("stt.segment")]
    assert texts == list(SCRIPT)


@asynccontextmanager
async def collector(key: str = "") -> AsyncIterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """Yield the address of an OTLP collector on loopback, which may ask for a key, and what it gets."""
    got = []

    async def receive(request: web.Request) -> web.Response:
        if request.headers.get("X-Key", "") != key:
            raise web.HTTPUnauthorized
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        got.append(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces", got
    finally:
        await runner.cleanup()


async def speak(url: str) -> None:
    """Have a session."""
    async with ClientSession() as http, http.ws_connect(f"{url}{PATH}?protocol=2") as socket:
        await socket.send_json({"event": "start"})
        await socket.send_bytes(tone(6.0))
        await socket.send_json({"event": "stop"})
        await receive_until(socket, "stopped")


async def test_a_collector_gets_them(tmp_path: Path) -> None:
    """A server sends its spans to ``traces.endpoint``, the last ones as it stops, with a key if need be."""
    async with collector("quicksilver") as (endpoint, got):
        configure(tmp_path, traces={"endpoint": endpoint})
        headers = {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=quicksilver"}
        with serve(tmp_path, **headers) as (running, url):
            await speak(url)
            assert await asyncio.to_thread(running.stop) == 0
            assert "quicksilver" not in running.err
    (resource,) = {str(part.resource) for request in got for part in request.resource_spans}
    assert "sttgate" in resource
    names = [
        span.name
        for request in got
        for part in request.resource_spans
        for scope in part.scope_spans
        for span in scope.spans
    ]
    assert sorted(names) == [
        *["stt.provider.connect", "stt.segment", "stt.segment", "stt.session"],
    ]


async def test_a_collector_that_is_gone(tmp_path: Path) -> None:
    """Without its collector a server transcribes, and stops in time."""
    async with collector() as (endpoint, _):
        pass
    configure(tmp_path, traces={"endpoint": endpoint, "words": True})
    with serve(tmp_path) as (running, url):
        await speak(url)
        began = time.monotonic()
        assert await asyncio.to_thread(running.stop) == 0
        assert time.monotonic() - began < 15
        assert SCRIPT[0] not in running.err


async def test_without_the_extra(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint and no OpenTelemetry is a mistake that says what to install."""
    gateway = gateway_of(await serve())
    exporter = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    monkeypatch.setitem(sys.modules, exporter, None)
    config = TracesConfig.model_validate({"endpoint": "http://127.0.0.1:4318/v1/traces"})
    with pytest.raises(StartupError, match=r"pip install 'sttgate\[otel\]'"):
        await anext(aiter(traced(gateway, config)(web.Application())))


def test_nobody_imports_it_unasked() -> None:
    """Without an endpoint nothing of OpenTelemetry is imported."""
    program = """
import asyncio, sys
import sttgate.app, sttgate.cli.serve
from sttgate.config.model import TracesConfig
from sttgate.operations.traces import traced

async def main():
    async for _ in traced(None, TracesConfig())(None):
        print([name for name in sys.modules if name.startswith("opentelemetry")])

asyncio.run(main())
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50
    )
    assert ran.stdout.strip() == "[]"
