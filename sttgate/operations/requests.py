"""One line in the log for each HTTP request; aiohttp's own has the query, so maybe a token."""

from __future__ import annotations

import time

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

log = structlog.get_logger(__name__)

_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
_LONGEST_PATH = 200  # characters of a stranger's path


@web.middleware
async def log_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Log method, path, status and seconds: those of probes at debug, of a WebSocket at its end.

    The path is as it came, percent signs and all, so that it cannot begin a line of its own.
    """
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
