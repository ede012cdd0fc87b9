"""Requests about a session go to the worker that has it, over that worker's private Unix socket.

Who makes a request was checked where it came in; the header CALLER says it to the other worker,
which believes it because only this user reaches the socket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sttgate.access.gate import PRINCIPAL
from sttgate.access.principal import EVERYBODY
from sttgate.admission import Caller
from sttgate.workers.peers import Peers

CALLER = "X-Sttgate-Caller"
_CONNECT_TIMEOUT = 3.0  # seconds
_NOT_PASSED_ON = {
    *("CONNECTION", "KEEP-ALIVE", "TRANSFER-ENCODING", "UPGRADE", "TE", "EXPECT"),
    *("HOST", "AUTHORIZATION", "CONTENT-LENGTH", CALLER.upper()),
}
_NOT_PASSED_BACK = {"CONNECTION", "KEEP-ALIVE", "TRANSFER-ENCODING", "DATE", "SERVER"}


def caller_header(caller: Caller) -> dict[str, str]:
    """Return the header that says who makes a request."""
    return {CALLER: msgspec.json.encode(caller).decode()}


def caller_of(request: web.BaseRequest) -> Caller:
    """Return who makes a request that another worker passed on."""
    return msgspec.json.decode(request.headers[CALLER], type=Caller)


@web.middleware
async def believe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Take from the header who makes a request."""
    request[PRINCIPAL] = caller_of(request).principal
    return await handler(request)


def forward(peers: Peers) -> Middleware:
    """Return a middleware that passes requests on whose ``id`` names what another worker has."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = request.match_info.get("id")
        if name is None or (socket := await peers.find(name)) is None:
            return await handler(request)
        caller = Caller(principal=request.get(PRINCIPAL, EVERYBODY))
        async with client(socket) as http:
            try:
                answer = await _pass_on(http, request, caller)
            except (aiohttp.ClientConnectionError, TimeoutError):
                answer = None
            if answer is not None:
                return await _pass_back(request, answer)
        return await handler(request)  # its worker is gone, what it stored is there

    return middleware


@asynccontextmanager
async def client(socket: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Return an HTTP client that reaches a worker."""
    async with aiohttp.ClientSession(
        base_url="http://worker",
        connector=aiohttp.UnixConnector(str(socket)),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
        auto_decompress=False,
    ) as http:
        yield http


async def _pass_on(
    http: aiohttp.ClientSession, request: web.Request, caller: Caller
) -> aiohttp.ClientResponse:
    headers = [
        (name, value)
        for name, value in request.headers.items()
        if name.upper() not in _NOT_PASSED_ON
    ]
    return await http.request(
        request.method,
        request.rel_url,
        headers=[*headers, *caller_header(caller).items()],
        data=await request.read() if request.can_read_body else None,
        allow_redirects=False,
    )


async def _pass_back(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name, value in answer.headers.items():
        if name.upper() not in _NOT_PASSED_BACK:
            response.headers.add(name, value)
    await response.prepare(request)
    while block := await _next_block(request, answer):
        await response.write(block)
    await response.write_eof()
    return response


async def _next_block(request: web.Request, answer: aiohttp.ClientResponse) -> bytes:
    try:
        return await answer.content.readany()
    except aiohttp.ClientError as error:
        # Its worker died: an answer that ends well would look like all there is.
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the worker that answered is gone") from error
