"""From what a person types to a full-text query, and the statement that shows what it found."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

import msgspec

from sttgate import Hit
from sttgate_sqlite.readers import Query

HITS = 3
"""Utterances of a session that are shown, at most."""

_MAX_TERMS = 32
_TERM = re.compile(r'"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+)')

# The index is read from the first of the page's sessions to the last. That is one pass in order,
# however many sessions there are: to look a prefix up means to merge the entries of all its words,
# so it is not done for each session. Snippets cost most, and are made for what is shown only.
_HITS = """
    WITH found AS MATERIALIZED (
        SELECT rowid AS id, row_number() OVER (PARTITION BY rowid >> 24 ORDER BY rowid) AS place
        FROM utterance_index
        WHERE utterance_index MATCH :expression AND rowid BETWEEN :first AND :last
            AND +rowid >> 24 IN (SELECT value FROM json_each(:seqs))
    )
    SELECT u.id >> 24 AS seq, u.number, u.start_s,
        snippet(utterance_index, 0, char(2), char(3), '…', 24) AS snippet
    FROM utterance_index CROSS JOIN utterances AS u ON u.id = utterance_index.rowid
    WHERE utterance_index MATCH :expression AND utterance_index.rowid BETWEEN :first AND :last
        AND +utterance_index.rowid IN (SELECT id FROM found WHERE place <= :hits)
    ORDER BY utterance_index.rowid
"""


def expression(text: str) -> str:
    """Return an FTS5 expression in which every term is quoted, so that none is query syntax.

    Words after the first 32 do not count. Without a word it matches nothing.
    """
    typed = text.replace("\0", " ").encode("utf-8", "replace").decode()
    terms = []
    for match in _TERM.finditer(typed):
        words = match["word"] or match["phrase"]
        is_last_word = match["word"] is not None and match.end() == len(typed.rstrip())
        terms.append(f'"{words}"*' if is_last_word else f'"{words}"')
    return " ".join(terms[:_MAX_TERMS]) or '""'


def hits_query(text: str, seqs: Sequence[int]) -> Query:
    """Return the query for the hits of sessions that match ``text``; there is one at least."""
    return _HITS, {
        "expression": expression(text),
        "first": min(seqs) << 24,
        "last": max(seqs) << 24 | 0xFFFFFF,
        "seqs": msgspec.json.encode(seqs).decode(),
        "hits": HITS,
    }


def hit_from(row: sqlite3.Row) -> Hit:
    """Return the hit of a row of ``hits_query``."""
    return Hit(utterance=row["number"], start=row["start_s"], snippet=row["snippet"])
