"""Structured logs on stderr: for people on a terminal, JSON lines elsewhere; plugins' records too."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog
from aiohttp.http_exceptions import HttpProcessingError

_NOISY = (
    *("aiohttp", "aiosqlite", "asyncio", "deepgram", "httpx", "httpcore", "opentelemetry"),
    *("urllib3", "websockets"),
)


def _escape_event(logger: Any, name: str, event: structlog.typing.EventDict) -> Any:
    """Escape what a terminal obeys: libraries quote strangers. The renderer escapes values itself."""
    text = str(event.get("event", ""))
    if not text.isprintable():
        event["event"] = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    return event


def shorten_faults_of_clients(record: logging.LogRecord) -> bool:
    """Make aiohttp's traceback for what a client did wrong one short line; a filter of its logger.

    A request that is no HTTP, or a client that left half way, is no error of ours; and what is wrong
    is quoted in the exception, which may be a header, so a key. Other tracebacks stay as they are.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.msg = "malformed_request"
    elif isinstance(error, ConnectionResetError):
        record.msg = "client_left"
    else:
        return True
    record.levelno, record.levelname = logging.INFO, "INFO"
    record.args = ()
    record.exc_info = record.exc_text = None
    record.reason = type(error).__name__
    return logging.getLogger().isEnabledFor(logging.INFO)


def set_up_logs(level: str = "info", form: str = "auto") -> None:
    """Send all records of the process to stderr as ``form`` "json", "console" or "auto".

    ``auto`` is console where stderr is a terminal, else JSON.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    renderer: list[Any]
    if as_json:
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        # Its usual tracebacks, where rich is installed, show local variables: words and keys.
        plain = structlog.dev.plain_traceback
        renderer = [
            _escape_event,
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain),
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        # They may log headers, so keys, and payloads, so words, below this level.
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # It warns of subprotocols it does not know, and one of them may be somebody's key.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    logging.getLogger("aiohttp.server").addFilter(shorten_faults_of_clients)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:3],
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
