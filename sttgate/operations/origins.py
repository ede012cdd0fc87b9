"""Which web pages may talk to the gateway: cross-site WebSocket hijacking ends here (CWE-1385)."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from sttgate.access.addresses import is_loopback

log = structlog.get_logger(__name__)

_METHODS = "GET, HEAD, POST, PATCH, DELETE"
_HEADERS = "Authorization, Content-Type, Last-Event-ID, Range"
_EXPOSED = "Content-Disposition, Content-Range, ETag, Location, Retry-After"
_MAX_AGE = "600"  # seconds a browser may remember what it may do


def origin_allowed(origin: str | None, host: str, listed: Collection[str] = ()) -> bool:
    """Whether a request with this Origin header to this Host may go on.

    No Origin is not a browser: allowed. A page of the same host, of this machine on any port, or of
    an origin that is ``listed`` is allowed; ``null`` and everything else is not.
    """
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
        name = parts.hostname
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not name:
        return False
    return parts.netloc.lower() == host.lower() or is_loopback(name) or _is_in(origin, listed)


def check_origin(listed: Collection[str] = ()) -> Middleware:
    """Return a middleware that refuses a page from elsewhere with 403, before any upgrade.

    Pages of the origins ``listed`` (``https://app.example.com``) may also read what the API answers
    (CORS); they show a key or token, there are no cookies.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if not origin_allowed(origin, request.host, listed):
            log.warning("origin_refused", path=request.path)
            raise web.HTTPForbidden(
                text="This page may not use the gateway: its origin is not allowed.\n"
            )
        if origin is None or not request.path.startswith("/api/") or not _is_in(origin, listed):
            return await handler(request)
        if (
            request.method == hdrs.METH_OPTIONS
            and "Access-Control-Request-Method" in request.headers
        ):
            return web.Response(status=204, headers=_preflight(origin))
        request[_ORIGIN] = origin
        return await handler(request)

    return middleware


async def share_answer(request: web.Request, response: web.StreamResponse) -> None:
    """Let the page read the answer; a signal, since it must be there when headers are sent."""
    if (origin := request.get(_ORIGIN)) is not None:
        response.headers.update(_shared(origin) | {"Access-Control-Expose-Headers": _EXPOSED})


_ORIGIN = web.RequestKey("origin", str)


def _is_in(origin: str, listed: Collection[str]) -> bool:
    return any(origin.lower() == known.lower().rstrip("/") for known in listed)


def _shared(origin: str) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def _preflight(origin: str) -> dict[str, str]:
    return _shared(origin) | {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _HEADERS,
        "Access-Control-Max-Age": _MAX_AGE,
    }
