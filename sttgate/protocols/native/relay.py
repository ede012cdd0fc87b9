"""A client whose session another worker has: its messages go there, and the answers come back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from sttgate.admission import Caller
from sttgate.protocols.native.replies import render_message
from sttgate.workers.forwarding import caller_header, client

log = structlog.get_logger(__name__)

PATH = "/native"
"""Where a worker serves, on its private socket, what another worker passes on."""

_SEND_TIMEOUT = 5.0  # seconds a side may leave what it is sent unread; then it is cut off
_CLOSE_TIMEOUT = 2.0


class Relay:
    """Joins the socket of a client to one of the worker at ``worker``; make it with ``open``."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.BaseRequest,
        other: aiohttp.ClientWebSocketResponse,
        resources: AsyncExitStack,
    ) -> None:
        self._socket = socket
        self._transport = request.transport
        self._other = other
        self._resources = resources
        self._leaving = asyncio.Event()
        self._goodbye: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        socket: web.WebSocketResponse,
        request: web.BaseRequest,
        caller: Caller,
        worker: Path,
        first: str,
    ) -> Relay | None:
        """Return a relay that has passed on the message ``first``; None if the worker is gone."""
        async with AsyncExitStack() as stack:
            try:
                http = await stack.enter_async_context(client(worker))
                other = await http.ws_connect(
                    PATH,
                    headers=caller_header(caller),
                    compress=0,
                    max_msg_size=0,  # what comes from there is ours
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT),
                )
                stack.push_async_callback(other.close)
                await other.send_str(first)
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                return None
            return cls(socket, request, other, stack.pop_all())
        return None

    def say_goodbye(self, deadline: float) -> None:
        """Tell the client that this worker goes away in ``deadline`` seconds."""
        text = render_message("goaway", deadline_s=deadline)
        if text is not None:
            self._goodbye = asyncio.create_task(self._send(text), name="native goodbye")

    def shut_down(self) -> None:
        """Send the client away: it finds its session again through another worker."""
        self._leaving.set()

    async def run(self) -> None:
        """Pass messages on until either side ends or ``shut_down`` was called."""
        up = asyncio.create_task(self._up(), name="native relay up")
        down = asyncio.create_task(self._down(), name="native relay down")
        leaving = asyncio.create_task(self._leaving.wait(), name="native relay end")
        tasks: set[asyncio.Task[Any]] = {up, down, leaving}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks |= {self._goodbye} if self._goodbye is not None else set()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._close(self._code())
            with suppress(aiohttp.ClientError, ConnectionError):
                await self._resources.aclose()
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, ConnectionError):  # who leaves, leaves
                log.error("relay_failed", exc_info=error)

    def _code(self) -> int:
        """Return with what to close the client's socket: as the other worker did."""
        return WSCloseCode.GOING_AWAY if self._leaving.is_set() else self._other.close_code or 1006

    async def _up(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                await self._other.send_bytes(message.data)
            elif message.type is WSMsgType.TEXT:
                await self._other.send_str(message.data)

    async def _down(self) -> None:
        greeted = False
        async for message in self._other:
            if message.type is WSMsgType.TEXT:
                if greeted:
                    await self._send(message.data)
                greeted = True  # the client was greeted here already

    async def _send(self, text: str) -> None:
        try:
            async with asyncio.timeout(_SEND_TIMEOUT):
                await self._socket.send_str(text)
        except TimeoutError:
            self._abort()

    async def _close(self, code: int) -> None:
        if code == WSCloseCode.ABNORMAL_CLOSURE and not self._socket.closed:
            self._abort()  # as if the client had been there
            return
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._socket.close(code=code)
        except (TimeoutError, ConnectionError):
            self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
