"""A vendor's server for tests: you write what it says, the faults come along.

It serves WebSocket and HTTP on loopback. What it says is a function of the audio it has received,
so that tests do not depend on timing.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import WSMsgType, web


@dataclass(frozen=True, slots=True)
class HangUp:
    """Said in the place of a message: close the WebSocket with this code and reason."""

    code: int = 1000
    reason: str = ""


_LARGEST_POST = 32 << 20  # bytes: minutes of audio

Message = Mapping[str, Any] | str | bytes | HangUp
"""A mapping is sent as JSON in a text frame, text and bytes are sent as they are."""


@dataclass(slots=True, kw_only=True)
class VendorFaults:
    """What goes wrong; change it at any time. ``after`` is in seconds of audio received.

    ``accept_late`` is in seconds of time. ``refuse`` is an HTTP status such as 401 or 429, for the
    first ``refuse_first`` requests or, with 0, for all; ``retry_after`` becomes its header.
    ``drop_after`` cuts the connection, ``half_open_after`` keeps it and neither reads nor says
    anything any more. ``interims_late`` sends each interim after the message that follows it.
    ``ignore_finalize`` leaves out the answer to finalize. Every ``malformed_every``-th message is
    cut in half.
    """

    accept_late: float = 0.0
    refuse: int = 0
    refuse_first: int = 0
    retry_after: float | None = None
    drop_after: float | None = None
    half_open_after: float | None = None
    interims_late: bool = False
    ignore_finalize: bool = False
    malformed_every: int = 0


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One connection of a client, with what it sent.

    ``audio`` is bytes received; keep what you need between messages in ``state``. ``open`` turns
    false when the connection has ended: a test of clean-up looks at it.
    """

    request: web.Request
    audio: int = 0
    texts: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    open: bool = True
    close_code: int | None = None


class FakeVendorServer(ABC):
    """The server: ``async with MyVendor() as server`` serves ``server.url`` on loopback.

    Write ``hear`` and, where the vendor has them, the other methods. Give ``path``, the bytes of a
    second of audio and, for a server to be tried by hand, a ``port`` (0: any free one). ``calls``
    has every accepted connection, ``refused`` counts the others. A plain GET that is not refused is
    answered with an empty JSON object: something for ``check`` to ask for.
    """

    path = "/"
    port = 0
    bytes_per_second = 32_000

    def __init__(self, faults: VendorFaults | None = None) -> None:
        self.faults = faults or VendorFaults()
        self.calls: list[Call] = []
        self.refused = 0
        self._ending = asyncio.Event()

    # -- what you write -----------------------------------------------------------------------

    @abstractmethod
    def hear(self, call: Call, audio: bytes) -> Iterable[Message]:
        """Say what the vendor says after this piece of audio; ``call.audio`` has it counted."""

    def obey(self, call: Call, text: str) -> Iterable[Message]:
        """Answer a text message, such as finalize or the end of the audio."""
        return ()

    def greet(self, call: Call) -> Iterable[Message]:
        """Say what the vendor says as soon as it is connected."""
        return ()

    def answer(self, call: Call, body: bytes) -> Message:
        """Answer a POST with a whole utterance in it, for vendors without a WebSocket."""
        raise NotImplementedError

    def admits(self, request: web.Request) -> bool:
        """Say whether the credentials of a request are good; if not it is refused with 401."""
        return True

    def is_interim(self, message: Message) -> bool:
        """Say whether a message is an interim, for ``interims_late``."""
        return False

    def is_finalize(self, text: str) -> bool:
        """Say whether a text message asks to finalize, for ``ignore_finalize``."""
        return "finalize" in text.lower()

    # -- what you use -------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_POST)
        app.router.add_get(self.path, self._connect)
        app.router.add_post(self.path, self._post)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}{self.path}"
        self.ws_url = f"ws://127.0.0.1:{self.port}{self.path}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._ending.set()
        await self._runner.cleanup()

    @property
    def open(self) -> int:
        """How many connections clients hold open."""
        return sum(call.open for call in self.calls)

    # -- how it is done -----------------------------------------------------------------------

    async def _refusal(self, request: web.Request) -> web.Response | None:
        faults = self.faults
        if faults.accept_late:
            await self._wait(faults.accept_late)
        status = 0 if self.admits(request) else 401
        if faults.refuse and (not faults.refuse_first or self.refused < faults.refuse_first):
            status = faults.refuse
        if not status:
            return None
        self.refused += 1
        headers = {} if faults.retry_after is None else {"Retry-After": f"{faults.retry_after:g}"}
        return web.json_response({"error": status}, status=status, headers=headers)

    async def _post(self, request: web.Request) -> web.Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        body = await request.read()
        call = Call(request=request, audio=len(body))
        self.calls.append(call)
        if self._reached(self.faults.half_open_after, call):
            await self._gone(request)
        elif self._reached(self.faults.drop_after, call) and request.transport is not None:
            request.transport.abort()
        call.open = False
        frame = _frame(self.answer(call, body))
        if self.faults.malformed_every:
            frame = frame[: len(frame) // 2]
        return web.Response(body=frame, content_type="application/json")

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        if "Upgrade" not in request.headers:
            return web.json_response({})
        socket = web.WebSocketResponse(compress=False, timeout=0.5)
        call = Call(request=request)
        self.calls.append(call)
        try:
            with suppress(ConnectionError):  # the client is gone
                await socket.prepare(request)
                await _Talk(self, call, socket).run()
        finally:
            call.close_code, call.open = socket.close_code, False
        return socket

    def _reached(self, after: float | None, call: Call) -> bool:
        return after is not None and call.audio >= after * self.bytes_per_second

    async def _gone(self, request: web.Request) -> None:
        """Wait until the client has left, or the server is to end."""
        while (wire := request.transport) is not None and not wire.is_closing():
            if await self._wait(0.02):
                return

    async def _wait(self, seconds: float) -> bool:
        """Wait; True at once when the server is to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._ending.wait()
        return False


class _Talk:
    """One accepted WebSocket, read and answered by one task."""

    def __init__(self, server: FakeVendorServer, call: Call, socket: web.WebSocketResponse) -> None:
        self._server, self._call, self._socket = server, call, socket
        self._late: list[Message] = []
        self._said = 0

    async def run(self) -> None:
        server, call = self._server, self._call
        await self._say(server.greet(call))
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                call.audio += len(message.data)
                await self._say(server.hear(call, message.data))
                if await self._broken():
                    return
            elif message.type is WSMsgType.TEXT:
                call.texts.append(message.data)
                answers = list(server.obey(call, message.data))
                if not (server.faults.ignore_finalize and server.is_finalize(message.data)):
                    await self._say(answers)
                    await self._say_late()

    async def _broken(self) -> bool:
        server, call = self._server, self._call
        if (wire := call.request.transport) is None:
            return True
        if server._reached(server.faults.drop_after, call):
            wire.abort()
            return True
        if server._reached(server.faults.half_open_after, call):
            # Reading stops with the handler; the peer's end of the connection still shows.
            await server._gone(call.request)
            return True
        return False

    async def _say(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if self._server.faults.interims_late and self._server.is_interim(message):
                self._late.append(message)
                continue
            if isinstance(message, HangUp):
                await self._say_late()
                await self._socket.close(code=message.code, message=message.reason.encode())
                return
            await self._send(message)
            await self._say_late()

    async def _say_late(self) -> None:
        late, self._late = self._late, []
        for message in late:
            await self._send(message)

    async def _send(self, message: Message) -> None:
        self._said += 1
        every = self._server.faults.malformed_every
        frame: str | bytes = message if isinstance(message, bytes) else _frame(message).decode()
        if every and self._said % every == 0:
            frame = frame[: len(frame) // 2]
        if isinstance(frame, bytes):
            await self._socket.send_bytes(frame)
        else:
            await self._socket.send_str(frame)


def _frame(message: Message) -> bytes:
    if isinstance(message, bytes):
        return message
    return message.encode() if isinstance(message, str) else json.dumps(message).encode()
