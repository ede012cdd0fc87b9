"""Pages of the list of sessions, newest first, that stay in place while sessions are added."""

from __future__ import annotations

import base64
import sqlite3
from collections import defaultdict

import msgspec

from sttgate import ErrorCode, Hit, RequestError, SessionPage, SessionQuery
from sttgate_sqlite.readers import Query, Snapshot
from sttgate_sqlite.rows import SESSION_COLUMNS, clean, session_from, to_json
from sttgate_sqlite.search import expression, hit_from, hits_query

_CONDITIONS = {
    "since": "s.created_at >= :since",
    "until": "s.created_at < :until",
    "provider": "s.provider = :provider",
    "language": "s.language = :language",
    "state": "s.state = :state",
    "owner": "s.owner = :owner",
}

# The sessions of all matches are gathered first, from the index alone; "+" keeps the walk along
# the sessions in the order of the list, so that it ends with the page.
_MATCHES = """+s.seq IN (
    SELECT rowid >> 24 FROM utterance_index WHERE utterance_index MATCH :expression
)"""

# JSON has one type of number, SQLite has two; true and 1 are the same to it but for their type.
_HAS_METADATA = """NOT EXISTS (
    SELECT key, replace(type, 'integer', 'real'), atom FROM json_each(:metadata)
    EXCEPT SELECT key, replace(type, 'integer', 'real'), atom FROM json_each(s.metadata)
)"""


async def read_page(snapshot: Snapshot, query: SessionQuery) -> SessionPage:
    """Read a page, with hits if ``query`` has a text; raise RequestError for a bad cursor."""
    limit = max(1, query.limit)
    [rows] = await snapshot.fetch(_page_query(query, limit + 1))
    page, more = rows[:limit], len(rows) > limit
    hits: dict[int, list[Hit]] = defaultdict(list)
    if query.text is not None and page:
        [found] = await snapshot.fetch(hits_query(query.text, [row["seq"] for row in page]))
        for row in found:
            hits[row["seq"]].append(hit_from(row))
    return SessionPage(
        sessions=tuple(session_from(row, tuple(hits[row["seq"]])) for row in page),
        cursor=_cursor_after(page[-1]) if more else None,
    )


def _page_query(query: SessionQuery, limit: int) -> Query:
    parameters = {name: getattr(query, name) for name in _CONDITIONS}
    conditions = [
        condition for name, condition in _CONDITIONS.items() if parameters[name] is not None
    ]
    if query.text is not None:
        parameters["expression"] = expression(query.text)
        conditions.append(_MATCHES)
    if query.metadata:
        parameters["metadata"] = to_json(query.metadata)
        conditions.append(_HAS_METADATA)
    if query.cursor is not None:
        parameters["created_at"], parameters["id"] = _position(query.cursor)
        conditions.append("(s.created_at, s.id) < (:created_at, :id)")
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    sql = (
        f"SELECT {SESSION_COLUMNS} FROM sessions AS s {where}"
        " ORDER BY s.created_at DESC, s.id DESC LIMIT :limit"
    )
    return sql, clean(parameters | {"limit": limit})


def _cursor_after(row: sqlite3.Row) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((row["created_at"], row["id"]))).decode()


def _position(cursor: str) -> tuple[float, str]:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[float, str])
    except (ValueError, msgspec.DecodeError) as error:
        raise RequestError(
            ErrorCode.BAD_REQUEST,
            "The cursor is not one of this list; take it from the page before, or leave it out.",
        ) from error
