"""A fake of Deepgram's live API (``WS /v1/listen``): scripted words, faults on demand.

Words lie on the clock of the audio received, so what the server says is a function of the audio,
however it is cut and however fast it comes. By hand::

    python -m tests.fakes.deepgram_server --port 8900 --api-key testkey --fault refuse=429

Wire facts are those of Deepgram's live-streaming reference: parameters and messages, errors,
"Finalize", "KeepAlive", "Close stream" and "Endpointing & interim results".
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from aiohttp import WSMsgType, web
from multidict import CIMultiDictProxy, MultiMapping

from tests.fakes.deepgram_speech import SENTENCES, SWITCHES, Recognizer, lay_out

NET_0001 = (
    "Deepgram did not receive audio data or a text message within the timeout window."
    " See https://dpgr.am/net0001"
)
DATA_0000 = "DATA-0000: The payload cannot be decoded as audio. See https://dpgr.am/data0000"
ERR_CODES = {
    400: ("Bad Request", "Bad Request: No such model/language/tier combination found."),
    401: ("INVALID_AUTH", "Invalid credentials."),
    402: ("ASR_PAYMENT_REQUIRED", "Project does not have enough credits for an ASR request."),
    403: ("INSUFFICIENT_PERMISSIONS", "Project does not have access to the requested model."),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later"),
}
MODELS = ("nova-3", "nova-2", "nova", "enhanced", "base")


@dataclass
class Faults:
    """What goes wrong; seconds are of audio received unless they say otherwise."""

    refuse: int = 0  # answer the upgrade with this HTTP status
    refuse_first: int = 0  # ... only so many times, 0 for always
    refuse_headers: dict[str, str] = field(default_factory=dict)
    refuse_body: str | None = None  # None for Deepgram's JSON
    hang: bool = False  # never answer the upgrade
    drop_after: float = 0.0  # then cut the TCP connection
    close_after: float = 0.0  # then close with close_code and close_reason
    close_code: int = 1011
    close_reason: str = ""
    deaf_after: float = 0.0  # then stop reading
    mute: bool = False  # never answer Finalize or CloseStream
    keep_open: bool = False  # no Close after the last message
    malformed_every: int = 0  # cut every nth message in half
    unknown_every: int = 0  # put a message of an unknown type before every nth
    delay: float = 0.0  # wall-clock seconds before each message
    edit: Callable[[dict[str, Any]], Iterable[str | bytes]] | None = None  # send these instead


@dataclass
class Connection:
    """What one client did."""

    query: MultiMapping[str]
    headers: CIMultiDictProxy[str]
    request_id: str
    audio: int = 0
    frames: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    close_code: int | None = None
    open: bool = True
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class FakeDeepgram:
    """The server; ``async with FakeDeepgram() as server`` serves ``server.url`` on loopback.

    ``connections`` records the accepted upgrades, ``refused`` counts the others. ``net_timeout`` is
    Deepgram's ten seconds until NET-0001, to be shortened by tests.
    """

    def __init__(
        self,
        sentences: Iterable[str] = SENTENCES,
        *,
        api_key: str | None = "testkey",
        faults: Faults | None = None,
        net_timeout: float = 10.0,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.words = lay_out(sentences)
        self.api_key = api_key
        self.faults = faults or Faults()
        self.net_timeout = net_timeout
        self.connections: list[Connection] = []
        self.refused = 0
        self.hanging = 0
        self._port, self._tls = port, tls

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/listen", self._listen)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls).start()
        self.port: int = self._runner.addresses[0][1]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.wake()
        await self._runner.cleanup()

    @property
    def open(self) -> int:
        """How many connections a client holds open."""
        return self.hanging + sum(connection.open for connection in self.connections)

    def wake(self) -> None:
        """Let connections read again that ``deaf_after`` stopped, so that they notice an end."""
        for connection in self.connections:
            connection.woken.set()

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        faults, request_id = self.faults, str(uuid.uuid4())
        if faults.hang:
            self.hanging += 1
            # aiohttp has no event for a client that leaves before its answer.
            while (wire := request.transport) is not None and not wire.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            self.hanging -= 1
            return web.Response(status=499)
        status, why = self._judge(request)
        if faults.refuse and (not faults.refuse_first or self.refused < faults.refuse_first):
            status, why = faults.refuse, ""
        if status:
            self.refused += 1
            return self._refusal(status, why, request_id)
        socket = web.WebSocketResponse(compress=False, timeout=0.5)
        socket.headers["dg-request-id"] = request_id
        await socket.prepare(request)
        connection = Connection(request.query, request.headers, request_id)
        self.connections.append(connection)
        try:
            with suppress(ConnectionError):  # the client is gone
                await _Conversation(self, connection, request, socket).run()
        finally:
            connection.close_code, connection.open = socket.close_code, False
        return socket

    def _judge(self, request: web.Request) -> tuple[int, str]:
        """Return the status and message of a refusal, 0 to accept."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in {"token", "bearer"} or self.api_key not in {None, key}:
            return 401, ""
        query = request.query
        if not query.get("model", "base").startswith(MODELS):
            return 400, ""
        for name in ("sample_rate", "channels", "utterance_end_ms"):
            if not query.get(name, "0").isdigit():
                return (
                    400,
                    f"Failed to deserialize query parameters: {name}: invalid digit found in string",
                )
        if any(query.get(name, "true") not in {"true", "false"} for name in SWITCHES):
            return (
                400,
                "Failed to deserialize query parameters: provided string was not `true` or `false`",
            )
        if "encoding" in query and "sample_rate" not in query:
            return 400, "Bad Request: sample_rate is required with encoding"
        if "utterance_end_ms" in query and query.get("interim_results") != "true":
            return 400, "Bad Request: utterance_end_ms requires interim_results=true"
        if "keyterm" in query and not query.get("model", "").startswith("nova-3"):
            return 400, "Bad Request: keyterm is only supported with Nova-3"
        return 0, ""

    def _refusal(self, status: int, why: str, request_id: str) -> web.Response:
        code, usual = ERR_CODES.get(status, ("ERROR", f"HTTP {status}"))
        body = {"err_code": code, "err_msg": why or usual, "request_id": request_id}
        headers = {
            "dg-request-id": request_id,
            "dg-error": why or usual,
            **self.faults.refuse_headers,
        }
        text = json.dumps(body) if self.faults.refuse_body is None else self.faults.refuse_body
        return web.Response(
            status=status, text=text, content_type="application/json", headers=headers
        )


class _Conversation:
    """One accepted connection, read and answered by one task."""

    def __init__(
        self,
        server: FakeDeepgram,
        connection: Connection,
        request: web.Request,
        socket: web.WebSocketResponse,
    ) -> None:
        self._server, self._faults = server, server.faults
        self._connection, self._request, self._socket = connection, request, socket
        self._recognizer = Recognizer(server.words, connection.query, connection.request_id)
        rate = int(connection.query.get("sample_rate", "0"))
        self._bytes_per_second = 2 * rate * int(connection.query.get("channels", "1"))
        self._count = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._server.net_timeout
        while True:
            try:
                message = await self._socket.receive(timeout=max(0.001, deadline - loop.time()))
            except TimeoutError:
                await self._say([self._recognizer.metadata()])
                await self._socket.close(code=1011, message=NET_0001.encode())
                return
            if message.type is WSMsgType.BINARY and message.data:
                going_on = await self._hear(message.data)
            elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                # An empty binary message is the old way to say CloseStream.
                going_on = await self._obey(message.data or '{"type": "CloseStream"}')
            else:
                return
            if not going_on:
                return
            if self._connection.audio:  # until then even KeepAlive does not help
                deadline = loop.time() + self._server.net_timeout

    async def _hear(self, audio: bytes) -> bool:
        connection, faults = self._connection, self._faults
        connection.audio += len(audio)
        connection.frames.append(len(audio))
        if not self._bytes_per_second and audio[:4] not in {b"RIFF", b"OggS", b"fLaC"}:
            await self._socket.close(code=1008, message=DATA_0000.encode())
            return False
        heard = connection.audio / (self._bytes_per_second or 32_000)
        await self._say(self._recognizer.hear(heard))
        transport = self._request.transport
        if transport is None:
            return False
        if faults.drop_after and heard >= faults.drop_after:
            transport.abort()
            return False
        if faults.close_after and heard >= faults.close_after:
            await self._socket.close(code=faults.close_code, message=faults.close_reason.encode())
            return False
        if faults.deaf_after and heard >= faults.deaf_after:
            transport.pause_reading()
            await connection.woken.wait()
            transport.resume_reading()
        return True

    async def _obey(self, text: str) -> bool:
        self._connection.texts.append(text)
        try:
            kind = json.loads(text)["type"]
        except (ValueError, TypeError, KeyError) as error:
            description = f"Could not deserialize last text message: {error}"
            complaint = {"type": "Error", "variant": "SchemaError", "description": description}
            await self._say([complaint | {"message": text}])
            return True
        if kind == "Finalize" and not self._faults.mute:
            await self._say(self._recognizer.flush(from_finalize=True))
        if kind == "CloseStream" and not self._faults.mute:
            await self._say(
                [*self._recognizer.flush(from_finalize=False), self._recognizer.metadata()]
            )
            if not self._faults.keep_open:
                await self._socket.close(code=1000)
                return False
        return True

    async def _say(self, messages: Iterable[dict[str, Any]]) -> None:
        faults = self._faults
        for message in messages:
            self._count += 1
            if faults.delay:
                await asyncio.sleep(faults.delay)
            if faults.unknown_every and self._count % faults.unknown_every == 0:
                await self._socket.send_str('{"type": "SomethingNew", "value": [1, 2]}')
            frames: Iterable[str | bytes] = [json.dumps(message)]
            if faults.edit is not None:
                frames = faults.edit(message)
            elif faults.malformed_every and self._count % faults.malformed_every == 0:
                frames = [frame[: len(frame) // 2] for frame in frames]
            for frame in frames:
                if isinstance(frame, bytes):
                    await self._socket.send_bytes(frame)
                else:
                    await self._socket.send_str(frame)


async def _serve(arguments: argparse.Namespace) -> None:
    kinds = {
        f.name: type(value)
        for f, value in zip(fields(Faults), asdict(Faults()).values(), strict=True)
    }
    faults = Faults()
    for name, _, value in (fault.partition("=") for fault in arguments.fault):
        kind = kinds[name]
        setattr(faults, name, value == "true" if kind is bool else kind(value))
    server = FakeDeepgram(api_key=arguments.api_key, faults=faults, port=arguments.port)
    async with server:
        print(f"fake Deepgram at {server.url}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A fake of Deepgram's live API on loopback.")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--api-key", help="the only key that is let in; any when left out")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=VALUE")
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args()))
