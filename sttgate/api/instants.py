"""Instants of the API: RFC 3339 on the wire, seconds since the epoch (UTC) inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_EXAMPLE = "2026-11-26T03:34:03Z"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def instant(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    written = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")


def _seconds(value: Any) -> float:
    """Return the seconds since the epoch of an instant, or of the midnight a day begins with."""
    if isinstance(value, str):
        try:
            if _INSTANT.fullmatch(value):
                return datetime.fromisoformat(value.upper()).timestamp()
            if _DAY.fullmatch(value):
                return datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            pass  # such as the 30th of February
    raise ValueError(f"write it like {_EXAMPLE} (a + in an address is %2B), or {_EXAMPLE[:10]}")


Moment = Annotated[
    float,
    BeforeValidator(_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "format": "date"},
            ]
        }
    ),
]
"""A value of a query: an instant, or a day, which stands for its first moment in UTC."""

Instant = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A value of an answer, made by ``instant``."""
