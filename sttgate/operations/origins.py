"""Which web pages may talk to the gateway: cross-site WebSocket hijacking ends here (CWE-1385)."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

log = structlog.get_logger(__name__)


def origin_allowed(origin: str | None, host: str) -> bool:
    """Whether a request with this Origin header to this Host may go on.

    No Origin is not a browser: allowed. A page of the same host, or of this machine on any port, is
    allowed; ``null`` and everything else is not.
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
    return parts.netloc.lower() == host.lower() or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


@web.middleware
async def check_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a page from elsewhere with 403, before any upgrade."""
    if not origin_allowed(request.headers.get("Origin"), request.host):
        log.warning("origin_refused", path=request.path)
        raise web.HTTPForbidden(
            text="This page may not use the gateway: its origin is not allowed.\n"
        )
    return await handler(request)
