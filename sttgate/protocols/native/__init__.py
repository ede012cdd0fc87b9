"""The native WebSocket protocol at ``/ws/v1/speech-to-text`` (docs/protocol.md)."""

from __future__ import annotations

import socket as sockets
from collections.abc import Iterable

from aiohttp import web

from sttgate.gateway import Gateway
from sttgate.protocols.native.connection import NativeConnection

PATH = "/ws/v1/speech-to-text"
SUBPROTOCOL = "sttgate.v2"
MAX_MESSAGE_BYTES = 16 * 1024 * 1024  # base clients may send a whole file in one message
_HEARTBEAT = 10.0  # seconds; a dead client is noticed within 17, for aiohttp rounds up
_USER_TIMEOUT_MS = 10_000


class NativeEndpoint:
    """The route, and the connections that are open."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._connections: set[NativeConnection] = set()

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes to add to an application."""
        return [web.get(PATH, self.handle)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one client."""
        version = request.query.get("protocol", "1")
        if version not in ("1", "2"):
            raise web.HTTPBadRequest(text=f"protocol must be 1 or 2, not {version[:20]!r}\n")
        # No compression: PCM gains nothing, and browsers, who always offer it, would cost a third
        # more CPU and 150 KiB each. A browser that offers subprotocols needs one of them back.
        response = web.WebSocketResponse(
            heartbeat=_HEARTBEAT,
            timeout=2.0,
            max_msg_size=MAX_MESSAGE_BYTES + 1,  # aiohttp refuses what reaches it
            compress=False,
            protocols=(SUBPROTOCOL,),
        )
        await response.prepare(request)
        _bound_unacknowledged(request)
        opted_in = version == "2" or response.ws_protocol == SUBPROTOCOL
        connection = NativeConnection(
            response, request, self._gateway, 2 if opted_in else 1, MAX_MESSAGE_BYTES
        )
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
        return response

    def say_goodbye(self, deadline: float) -> None:
        """Ask the clients that know the event to finish within ``deadline`` seconds."""
        for connection in self._connections:
            connection.say_goodbye(deadline)

    def shut_down(self) -> None:
        """Have every connection finish its session and close."""
        for connection in self._connections:
            connection.shut_down("shutdown")

    def hang_up(self) -> None:
        """Close the connections whose session was cut short, so will never be over for them."""
        for connection in self._connections:
            connection.hang_up()


def _bound_unacknowledged(request: web.BaseRequest) -> None:
    """Have the kernel end a connection whose peer acknowledges nothing for ten seconds.

    aiohttp's heartbeat does not free a handler that waits in a send to a peer that does not read.
    """
    if request.transport is not None and hasattr(sockets, "TCP_USER_TIMEOUT"):
        sock = request.transport.get_extra_info("socket")
        if sock is not None and sock.family in (sockets.AF_INET, sockets.AF_INET6):
            sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
