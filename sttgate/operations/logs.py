"""Structured logs on stderr: for people on a terminal, JSON lines elsewhere; plugins' records too."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection
from importlib.metadata import entry_points
from typing import Any

import structlog
from aiohttp.http_exceptions import HttpProcessingError

from sttgate.hookspecs import PROJECT
from sttgate.operations import tracebacks

# Libraries that say much: held at their source, so that it is not even put into words.
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
    record.name = __name__  # it is ours now, and libraries may not speak below warnings
    return logging.getLogger().isEnabledFor(logging.INFO)


def set_up_logs(level: str = "info", form: str = "auto", worker: int | None = None) -> None:
    """Send all records of the process to stderr as ``form`` "json", "console" or "auto".

    ``auto`` is console where stderr is a terminal, else JSON. Each has the number of the ``worker``,
    if there are several.
    """

    def number(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        return event if worker is None else {**event, "worker": worker}

    shared: list[Any] = [
        number,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    renderer: list[Any]
    if as_json:
        exceptions = structlog.processors.ExceptionRenderer(tracebacks.describe)
        renderer = [exceptions, structlog.processors.JSONRenderer()]
    else:
        colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        # Its usual tracebacks, where rich is installed, show local variables: words and keys.
        renderer = [
            _escape_event,
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=tracebacks.write),
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Discretion())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.getLogger().handlers[:] = [handler]
    set_level(level)
    logging.getLogger("aiohttp.server").addFilter(shorten_faults_of_clients)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:4],
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def set_level(level: str) -> None:
    """Have records from ``level`` on written, those of libraries from "warning" on at most."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # It warns of subprotocols it does not know, and one of them may be somebody's key.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)


class _Discretion(logging.Filter):
    """Keeps back what libraries say below a warning: headers, so keys, and payloads, so words.

    Our loggers and those of plugins pass: they have the names of installed plugins' packages, or
    begin with ``sttgate_``, as the modules of drop-in plugins do.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ours: Collection[str] = {PROJECT} | {
            entry.module.partition(".")[0] for entry in entry_points(group=PROJECT)
        }

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            return True
        package = record.name.partition(".")[0]
        return package in self._ours or package.startswith(f"{PROJECT}_")
