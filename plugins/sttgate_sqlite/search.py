"""From what a person types to a full-text query, and the statement that runs it."""

from __future__ import annotations

import re

from sttgate_sqlite.readers import Query
from sttgate_sqlite.rows import SESSION_COLUMNS

_MAX_TERMS = 32
_TERM = re.compile(r'"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+)')

# Walks the index from its newest entry and stops at the limit, so that the time does not grow with
# the number of matches, as it would with a ranking.
_SEARCH = f"""
    SELECT u.number, u.start_s, snippet(utterance_index, 0, char(2), char(3), '…', 24) AS snippet,
        {SESSION_COLUMNS}
    FROM utterance_index
    CROSS JOIN utterances AS u ON u.id = utterance_index.rowid
    CROSS JOIN sessions AS s ON s.id = u.session_id
    WHERE utterance_index MATCH :expression
    ORDER BY utterance_index.rowid DESC
    LIMIT :limit
"""


def search_query(text: str, limit: int) -> Query | None:
    """Return the query for ``text``, newest utterances first; None when it has no word.

    Every word must be there, in any order; words in double quotes must be there as they stand; the
    last word may be the beginning of a longer one. Words after the first 32 do not count.
    """
    expression = _expression(text)
    return (_SEARCH, {"expression": expression, "limit": max(0, limit)}) if expression else None


def _expression(text: str) -> str:
    """Return an FTS5 expression in which every term is quoted, so that none is query syntax."""
    typed = text.replace("\0", " ").encode("utf-8", "replace").decode()
    terms = []
    for match in _TERM.finditer(typed):
        words = match["word"] or match["phrase"]
        is_last_word = match["word"] is not None and match.end() == len(typed.rstrip())
        terms.append(f'"{words}"*' if is_last_word else f'"{words}"')
    return " ".join(terms[:_MAX_TERMS])
