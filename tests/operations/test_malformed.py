"""A request that is no HTTP, and a client that leaves, in the log; lines a stranger would write."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sttgate.operations.logs import shorten_faults_of_clients

KEY = "stt_0123_markermarker"
MALFORMED = {
    "no method": b"\x16\x03\x01 hello\r\n\r\n",
    "space before the colon": f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : {KEY}\r\n\r\n".encode(),
    "NUL in a header": f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {KEY}\0\r\n\r\n".encode(),
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "long header": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n",
}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Return a log that aiohttp's server writes to as the gateway lets it."""
    logger = logging.getLogger("aiohttp.server")
    logger.addFilter(shorten_faults_of_clients)
    with caplog.at_level(logging.INFO):
        yield caplog
    logger.removeFilter(shorten_faults_of_clients)


def of_server(log: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what aiohttp's server has logged, and what became of it."""
    names = ("aiohttp.server", shorten_faults_of_clients.__module__)
    return [record for record in log.records if record.name in names]


async def fails(request: web.Request) -> web.Response:
    """Be broken."""
    raise RuntimeError("this is a bug")


async def answer_to(data: bytes) -> bytes:
    """Return the first line of what a server, all of whose pages are broken, answers."""
    app = web.Application()
    app.router.add_get("/", fails)
    async with TestServer(app) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(data)
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
    return line


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_request(log: pytest.LogCaptureFixture, data: bytes) -> None:
    """What is no HTTP is one line that says of which kind, and quotes nothing of it."""
    assert b" 400 " in await answer_to(data)
    logged = of_server(log)
    for record in logged:
        assert record.getMessage() == "malformed_request"
        assert record.levelno == logging.INFO
        assert record.exc_info is None
        assert record.__dict__["reason"]
    # aiohttp has none, below debug, for what does not even begin like HTTP.
    assert len(logged) == (data != MALFORMED["no method"])
    assert KEY not in str([record.__dict__ for record in logged])


async def test_client_that_leaves(log: pytest.LogCaptureFixture) -> None:
    """Who leaves in the middle of a body is one line, too."""

    async def take(request: web.Request) -> web.Response:
        entered.set()
        return web.Response(body=await request.read())

    entered = asyncio.Event()
    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None)  # aiohttp's TestServer would cancel the handler
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        _, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        await entered.wait()
        writer.transport.abort()
        async with asyncio.timeout(10):
            while not of_server(log):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
    finally:
        await runner.cleanup()
    [record] = of_server(log)
    assert (record.getMessage(), record.exc_info) == ("client_left", None)


async def test_real_failure(log: pytest.LogCaptureFixture) -> None:
    """A mistake of ours keeps its traceback."""
    assert b" 500 " in await answer_to(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    [record] = of_server(log)
    assert record.levelno == logging.ERROR
    assert record.exc_info
    assert isinstance(record.exc_info[1], RuntimeError)


@pytest.mark.parametrize("form", ["console", "json"])
def test_nobody_writes_a_line_of_his_own(form: str) -> None:
    """What a stranger can bring into a message or a value acts neither on a terminal nor on a parser."""
    script = (
        "import logging, structlog; from sttgate.operations.logs import set_up_logs;"
        f"set_up_logs('info', '{form}');"
        "evil = 'é\\x1b[2J\\r\\nINFO forged=yes';"
        "logging.getLogger('some.library').warning('cannot do %s', evil);"
        "structlog.get_logger('sttgate.x').info('tried', path=evil)"
    )
    logged = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    ).stderr
    lines = logged.splitlines()
    assert len(lines) == 2
    assert "\x1b" not in logged
    assert all("forged" in line for line in lines)


async def test_malformed_request_at_warning(log: pytest.LogCaptureFixture) -> None:
    """Who asks for warnings only does not see them."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.WARNING)
    try:
        await answer_to(MALFORMED["two lengths"])
    finally:
        root.setLevel(before)
    assert of_server(log) == []
