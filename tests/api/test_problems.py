"""Errors of the API: each is a problem document, and none tells about the inside."""

from __future__ import annotations

import asyncio
import gzip
import io
import re
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from sttgate.errors import ErrorCode, RequestError, StoreError
from sttgate.gateway import Gateway
from sttgate.stores import SessionPage, SessionQuery
from tests.api.service import Serve, Service

SECRET = "postgres://user:secret@db/"


def failing(error: Exception) -> Callable[[Gateway], None]:
    """Return an ``adapt`` that makes the transcript store's list fail."""

    def adapt(gateway: Gateway) -> None:
        async def fail(query: SessionQuery) -> SessionPage:
            raise error

        gateway.transcripts.list = fail  # type: ignore[method-assign]

    return adapt


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreError(f"no connection to {SECRET}"), 503, "storage_failed"),
        (RuntimeError(f"no connection to {SECRET}"), 500, "internal"),
        (RequestError(ErrorCode.CAPACITY, "The service is full."), 503, "capacity"),
        (RequestError(ErrorCode.BAD_REQUEST, "That is wrong."), 400, "bad_request"),
    ],
)
async def test_error_of_a_handler(serve: Serve, error: Exception, status: int, code: str) -> None:
    """Whatever fails is answered with its kind; what it says about the inside stays inside."""
    api = await serve(adapt=failing(error))
    with capture_logs() as logs:
        answer = await api.request("GET", "/sessions")
    problem = answer.assert_problem(status, code)
    assert SECRET not in answer.body.decode()
    assert ("Retry-After" in answer.headers) == (status == 503)
    if status == 500:
        assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", problem["instance"])
        failed = [log for log in logs if log["event"] == "request_failed"]
        assert [log["instance"] for log in failed] == [problem["instance"]]


@pytest.mark.parametrize("path", ["/", "/nothing", "/sessions/", "/sessions/a/b", "/SESSIONS"])
async def test_no_such_address(api: Service, path: str) -> None:
    """An address nothing is at is answered with a problem, too."""
    answer = await api.request("GET", path)
    answer.assert_problem(404, "not_found")


async def test_wrong_method(api: Service) -> None:
    """An address that does not take a method says which ones it takes."""
    answer = await api.request("POST", "/sessions")
    answer.assert_problem(405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET,HEAD"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "x"])
async def test_compressed_body(api: Service, encoding: str) -> None:
    """A compressed body is refused before a byte of it is unpacked."""
    await api.store("hello", title="old")
    answer = await api.request(
        "PATCH",
        "/sessions/session-1",
        data=gzip.compress(b'{"title":"new"}'),
        headers={"Content-Type": "application/json", "Content-Encoding": encoding},
    )
    answer.assert_problem(415, "unsupported_media_type")
    assert (await api.get("/sessions/session-1"))["title"] == "old"


async def test_large_body(api: Service) -> None:
    """A body of more than a mebibyte is refused."""
    await api.store("hello")
    answer = await api.request(
        "PATCH",
        "/sessions/session-1",
        data=io.BytesIO(b" " * (1024**2 + 1)),
        headers={"Content-Type": "application/json"},
    )
    answer.assert_problem(413, "too_large")


async def test_slow_body(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not arrive is not waited for."""
    monkeypatch.setattr("sttgate.api.routing.BODY_TIMEOUT", 0.1)
    await api.store("hello")
    reader, writer = await asyncio.open_connection("127.0.0.1", api.client.port)
    writer.write(
        b"PATCH /api/v1/sessions/session-1 HTTP/1.1\r\nHost: here\r\n"
        b'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"title":'
    )
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer
    writer.close()
    await writer.wait_closed()


async def test_page_from_elsewhere(api: Service) -> None:
    """A web page of another origin is refused with a problem."""
    answer = await api.request("GET", "/sessions", headers={"Origin": "https://evil.example"})
    answer.assert_problem(403, "forbidden")


async def test_nobody_keeps_a_copy(api: Service) -> None:
    """What was said is not kept by anything on the way."""
    await api.store("hello", pcm=[[0]] * 100)
    for path in ("", "/audio", "/peaks", "/export"):
        answer = await api.request("GET", f"/sessions/session-1{path}")
        assert answer.headers["Cache-Control"] in ("no-store", "private, no-cache"), path


async def test_outside_of_the_api_nothing_changes(api: Service) -> None:
    """Other addresses keep their own errors."""
    async with api.client.get("/nothing") as response:
        assert (response.status, response.content_type) == (404, "text/plain")
