"""Handshakes of WebSockets: what aiohttp lets pass that RFC 6455 does not."""

from __future__ import annotations

from aiohttp import HttpVersion11, hdrs, web


def check_handshake(request: web.Request) -> None:
    """Raise HTTPBadRequest for an upgrade that no client of ours sends.

    A body after an upgrade would be taken for frames by one party and for a request by another
    (request smuggling); a key beyond ASCII makes aiohttp fail.
    """
    if request.version < HttpVersion11:
        raise web.HTTPBadRequest(text="A WebSocket needs HTTP/1.1.\n")
    length = request.headers.get(hdrs.CONTENT_LENGTH, "0")
    if length != "0" or hdrs.TRANSFER_ENCODING in request.headers:
        raise web.HTTPBadRequest(text="An upgrade has no body.\n")
    keys = request.headers.getall(hdrs.SEC_WEBSOCKET_KEY, [])
    if len(keys) > 1 or not all(key.isascii() for key in keys):
        raise web.HTTPBadRequest(text="An upgrade has one Sec-WebSocket-Key.\n")
