"""A line in the log for each HTTP request, without the query, which may have a token; refusals counted."""

from __future__ import annotations

import time

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sttgate.session.tally import Tally

log = structlog.get_logger(__name__)

_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
_REFUSALS = {401: "unauthorized", 403: "forbidden"}  # others are counted where they are decided
_LONGEST_PATH = 200  # characters of a stranger's path


def log_requests(tally: Tally) -> Middleware:
    """Return a middleware that logs each request, and counts in ``tally`` those that were refused.

    It logs method, path, status and seconds: those of probes at debug, of a WebSocket at its end.
    The path is as it came, percent signs and all, so that it cannot begin a line of its own.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        status: int | None = None  # the client left before there was an answer
        try:
            response = await handler(request)
            status = response.status
            return response
        except web.HTTPException as error:
            status = error.status
            raise
        except ConnectionError:
            raise
        except Exception:
            status = 500
            raise
        finally:
            write = log.debug if request.path in _PROBES else log.info
            write(
                "request",
                method=request.method,
                path=request.rel_url.raw_path[:_LONGEST_PATH],
                status=status,
                seconds=round(time.monotonic() - began, 3),
            )
            if status in _REFUSALS:
                tally.rejected[_REFUSALS[status]] += 1

    return middleware
