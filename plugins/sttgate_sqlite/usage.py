"""What sessions used, by day and owner; also of those that are deleted by now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from sttgate import DayUsage
from sttgate_sqlite.readers import Query

# A day is 86 400 s of the epoch, cut by hand: date() rounds the last half millisecond up.
_DAY = "date(CAST(ended_at / 86400 AS INTEGER) * 86400, 'unixepoch')"
_SESSIONS = f"""
    SELECT {_DAY} AS day, owner, count(*) AS sessions
    FROM usage WHERE ended_at >= :since AND ended_at < :until
    GROUP BY 1, 2 ORDER BY 1, 2
"""
_COUNTERS = f"""
    SELECT {_DAY} AS day, owner, counter.key, total(counter.atom) AS total
    FROM usage CROSS JOIN json_each(usage.usage) AS counter
    WHERE ended_at >= :since AND ended_at < :until
    GROUP BY 1, 2, 3
"""


def usage_queries(since: float, until: float) -> tuple[Query, Query]:
    """Return the queries for the days with their sessions, and for what these add up to."""
    bounds = {"since": since, "until": until}
    return (_SESSIONS, bounds), (_COUNTERS, bounds)


def days_from(
    sessions: Iterable[sqlite3.Row], counters: Iterable[sqlite3.Row]
) -> Sequence[DayUsage]:
    """Return the days of the rows of both queries, in order."""
    usage: dict[tuple[str, str | None], dict[str, float]] = {}
    for row in counters:
        usage.setdefault((row["day"], row["owner"]), {})[row["key"]] = row["total"]
    return [
        DayUsage(
            day=row["day"],
            owner=row["owner"],
            sessions=row["sessions"],
            usage=usage.get((row["day"], row["owner"]), {}),
        )
        for row in sessions
    ]
