"""Moments on the command line: so long ago, or a date."""

from __future__ import annotations

import re
import time
from datetime import datetime

import click

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """Return what ``2d`` or an ISO 8601 date or time stands for; local time if it says no other."""
    if value is None:
        return None
    if match := _AGO.fullmatch(value.strip()):
        return time.time() - float(match[1]) * _SECONDS[match[2]]
    try:
        return datetime.fromisoformat(value.strip()).timestamp()
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{value!r} is no time; write 2d, 12h or 2026-11-26.") from error


since_option = click.option(
    "--since",
    metavar="WHEN",
    callback=_moment,
    help="Only those from then on, such as 2d, 12h or 2026-11-26.",
)
"""``--since 2d``; the command takes ``since: float | None``, seconds since the epoch."""
