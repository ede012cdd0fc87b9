"""Instants of the API."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from sttgate.api.instants import Moment, instant

MOMENT = TypeAdapter(Moment)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01", 0.0),
        ("1970-01-02", 86_400.0),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01t00:00:01.25z", 1.25),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1969-12-31T23:00:00-01:00", 0.0),
        ("2026-11-26T03:34:03.123456789Z", 1_795_664_043.123456),
    ],
)
def test_read(text: str, seconds: float) -> None:
    """An instant of RFC 3339, and the first moment of a day, is seconds since the epoch."""
    assert MOMENT.validate_python(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "0", "1795664043", "20261126", "2026-11", "2026-W48-4", "2026-11-31"),
        *("2026-11-26T03:34Z", "2026-11-26T03:34:03", "2026-11-26 03:34:03Z"),
        *("2026-11-26T25:00:00Z", "2026-11-26T03:34:03+25:00", "\u0662026-11-26"),
        *("0000-01-01", "2026-11-26T03:34:03Z\n"),
    ],
)
def test_refused(text: str) -> None:
    """Anything else is refused with an example of what is taken."""
    with pytest.raises(ValidationError, match="2026-11-26T03:34:03Z"):
        MOMENT.validate_python(text)


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31T23:59:59-23:59"])
def test_far_away(text: str) -> None:
    """The ends of the calendar are instants like others."""
    assert isinstance(MOMENT.validate_python(text), float)


def test_written() -> None:
    """Seconds since the epoch are written in UTC, to the millisecond."""
    assert instant(0) == "1970-01-01T00:00:00.000Z"
    assert instant(1_795_664_043.123) == "2026-11-26T03:34:03.123Z"
