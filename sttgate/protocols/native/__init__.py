"""The native WebSocket protocol at ``/ws/v1/speech-to-text`` (docs/protocol.md)."""

from __future__ import annotations

import math
import socket as sockets
from collections.abc import Callable, Iterable

from aiohttp import web

from sttgate.access.addresses import client_address
from sttgate.access.gate import PRINCIPAL, needs
from sttgate.access.principal import EVERYBODY, Principal
from sttgate.admission import Caller
from sttgate.errors import RequestError
from sttgate.gateway import Gateway
from sttgate.protocols.handshake import check_handshake
from sttgate.protocols.native.connection import NativeConnection
from sttgate.protocols.native.relay import PATH as INNER_PATH
from sttgate.protocols.native.relay import Relay
from sttgate.workers.forwarding import caller_of

PATH = "/ws/v1/speech-to-text"
SUBPROTOCOL = "sttgate.v2"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024  # base clients may send a whole file in one message
_HEARTBEAT = 10.0  # seconds; a dead client is noticed within 17, for aiohttp rounds up
_USER_TIMEOUT_MS = 10_000
_RETRY_AFTER = "5"  # seconds


class NativeEndpoint:
    """The route, and the connections that are open."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._connections: set[NativeConnection] = set()
        self._relays: set[Relay] = set()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes to add to an application."""
        return [web.get(PATH, self.handle)]

    def inner_routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes for other workers."""
        return [web.get(INNER_PATH, self.handle_passed_on)]

    @needs("transcribe")
    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one client."""
        check_handshake(request)
        address = client_address(request, self._gateway.admission.limits.trusted_proxies)
        await self._count_connect(address)
        version = request.query.get("protocol", "1")
        if version not in ("1", "2"):
            raise web.HTTPBadRequest(text=f"protocol must be 1 or 2, not {version[:20]!r}\n")
        try:
            with self._gateway.admission.connection(address):
                return await self._converse(request, address, version)
        except RequestError as error:
            self._gateway.tally.rejected["too_many_connections"] += 1
            raise web.HTTPServiceUnavailable(
                text=f"{error}\n", headers={"Retry-After": _RETRY_AFTER}
            ) from error

    async def _converse(
        self, request: web.Request, address: str, version: str
    ) -> web.StreamResponse:
        response = _socket()
        await response.prepare(request)
        _bound_unacknowledged(request)
        opted_in = version == "2" or response.ws_protocol == SUBPROTOCOL
        caller = Caller(principal=request.get(PRINCIPAL, EVERYBODY), address=address)
        return await self._serve(request, response, caller, 2 if opted_in else 1)

    async def handle_passed_on(self, request: web.Request) -> web.StreamResponse:
        """Serve a client that another worker passes on, since its session is here."""
        response = _socket()
        await response.prepare(request)
        return await self._serve(request, response, caller_of(request), 2)

    async def _serve(
        self, request: web.Request, response: web.WebSocketResponse, caller: Caller, protocol: int
    ) -> web.StreamResponse:
        connection = NativeConnection(
            response, request, self._gateway, caller, protocol, MAX_MESSAGE_BYTES
        )
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            relay = connection.relay
            if relay is not None:
                self._relays.add(relay)
                try:
                    await relay.run()
                finally:
                    self._relays.discard(relay)
        return response

    @property
    def busy(self) -> bool:
        """Whether a client is served whose session another worker has."""
        return bool(self._relays)

    async def _count_connect(self, address: str) -> None:
        if wait := await self._gateway.admission.connect(address):
            self._gateway.tally.rejected["too_many_connects"] += 1
            raise web.HTTPTooManyRequests(
                text="Too many connections came from this address. Try again later.\n",
                headers={"Retry-After": str(math.ceil(wait))},
            )

    def cut_off(self, holds: Callable[[Principal], bool]) -> None:
        """Close the connections of principals whose key no longer holds."""
        for connection in self._connections:
            if not holds(connection.caller.principal):
                connection.cut_off()

    def say_goodbye(self, deadline: float) -> None:
        """Ask the clients that know the event to finish within ``deadline`` seconds."""
        for connection in self._connections:
            connection.say_goodbye(deadline)
        for relay in self._relays:
            relay.say_goodbye(deadline)

    def shut_down(self) -> None:
        """Have every connection finish its session and close."""
        for connection in self._connections:
            connection.shut_down("shutdown")
        for relay in self._relays:
            relay.shut_down()

    def hang_up(self) -> None:
        """Close the connections whose session was cut short, so will never be over for them."""
        for connection in self._connections:
            connection.hang_up()


def _socket() -> web.WebSocketResponse:
    # No compression: PCM gains nothing, and browsers, who always offer it, would cost a third
    # more CPU and 150 KiB each. A browser that offers subprotocols needs one of them back.
    return web.WebSocketResponse(
        heartbeat=_HEARTBEAT,
        timeout=2.0,
        max_msg_size=MAX_MESSAGE_BYTES + 1,  # aiohttp refuses what reaches it
        compress=False,
        # The scheme is what a client that sends its key as the next one gets back.
        protocols=(SUBPROTOCOL, "bearer", "token"),
    )


def _bound_unacknowledged(request: web.BaseRequest) -> None:
    """Have the kernel end a connection whose peer acknowledges nothing for ten seconds.

    aiohttp's heartbeat does not free a handler that waits in a send to a peer that does not read.
    """
    if request.transport is not None and hasattr(sockets, "TCP_USER_TIMEOUT"):
        sock = request.transport.get_extra_info("socket")
        if sock is not None and sock.family in (sockets.AF_INET, sockets.AF_INET6):
            sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
