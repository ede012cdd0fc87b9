"""Structured logs on stderr: for people on a terminal, JSON lines elsewhere; plugins' records too."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import structlog

_NOISY = (
    *("aiohttp", "aiosqlite", "asyncio", "deepgram", "httpx", "httpcore", "opentelemetry"),
    *("urllib3", "websockets"),
)


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
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        # Its usual tracebacks, where rich is installed, show local variables: words and keys.
        plain = structlog.dev.plain_traceback
        renderer = [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
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
