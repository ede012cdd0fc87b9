"""Between the contract's types and rows; lists and objects are JSON."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

from sttgate import Gap, Mark, SessionEnd, SessionStart, StoredSession, StoreError, Utterance, Word

T = TypeVar("T")

PREVIEW_LENGTH = 120
"""Characters of a session's text that ``StoredSession.preview`` has at most."""

SESSION_COLUMNS = f"""
    s.id, s.created_at, s.protocol, s.sample_rate, s.channels, s.provider, s.model, s.language,
    s.title, s.client_ref, s.metadata, s.state, s.ended_at, s.duration, s.reason, s.recording,
    s.marks, s.gaps, s.usage, s.utterances, s.words,
    (SELECT group_concat(text, ' ') FROM (
        SELECT substr(text, 1, {PREVIEW_LENGTH + 1}) AS text FROM utterances
        WHERE session_id = s.id AND text <> '' ORDER BY number LIMIT 5
    )) AS preview
"""
"""What ``session_from`` needs, selected from ``sessions AS s``."""


def start_parameters(start: SessionStart) -> dict[str, object]:
    """Return the columns of a new session."""
    return _clean(_columns(start) | {"metadata": _json(start.metadata)})


def end_parameters(session_id: str, end: SessionEnd) -> dict[str, object]:
    """Return the columns of an ended session; None where what ``begin`` stored stays."""
    encoded = {
        "metadata": None if end.metadata is None else _json(end.metadata),
        "marks": _json(end.marks),
        "gaps": _json(end.gaps),
        "usage": _json(end.usage),
    }
    return _clean(_columns(end) | encoded | {"id": session_id})


def utterance_parameters(session_id: str, utterance: Utterance) -> dict[str, object]:
    """Return the columns of an utterance."""
    counted = {"session_id": session_id, "word_count": len(utterance.text.split())}
    return _clean(_columns(utterance) | counted | {"words": _json(utterance.words)})


def session_from(row: sqlite3.Row) -> StoredSession:
    """Return the session of a row of ``SESSION_COLUMNS``."""
    metadata = _parse(row["metadata"], dict[str, Any])
    known = {name: row[name] for name in ("provider", "model", "language")}
    start = SessionStart(
        id=row["id"],
        created_at=row["created_at"],
        protocol=row["protocol"],
        sample_rate=row["sample_rate"],
        channels=row["channels"],
        title=row["title"],
        client_ref=row["client_ref"],
        metadata=metadata,
        **known,
    )
    end = None
    if row["ended_at"] is not None:
        end = SessionEnd(
            state=row["state"],
            ended_at=row["ended_at"],
            duration=row["duration"],
            reason=row["reason"],
            recording=bool(row["recording"]),
            metadata=metadata,
            marks=_parse(row["marks"], tuple[Mark, ...]),
            gaps=_parse(row["gaps"], tuple[Gap, ...]),
            usage=_parse(row["usage"], dict[str, float]),
            **known,
        )
    preview = row["preview"] or ""
    if len(preview) > PREVIEW_LENGTH:
        preview = preview[: PREVIEW_LENGTH - 1].rstrip() + "…"
    return StoredSession(
        start=start, end=end, utterances=row["utterances"], words=row["words"], preview=preview
    )


def utterance_from(row: sqlite3.Row) -> Utterance:
    """Return the utterance of a row of the table ``utterances``."""
    return Utterance(
        number=row["number"],
        channel=row["channel"],
        start=row["start_s"],
        end=row["end_s"],
        text=row["text"],
        speaker=row["speaker"],
        language=row["language"],
        confidence=row["confidence"],
        provider=row["provider"],
        words=_parse(row["words"], tuple[Word, ...]),
        complete=bool(row["complete"]),
    )


def _columns(value: SessionStart | SessionEnd | Utterance) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _clean(columns: dict[str, object]) -> dict[str, object]:
    """Put "?" for halves of surrogate pairs, which some clients cut texts into; SQLite has none."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in columns.items()
    }


def _json(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # left to _clean
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


def _parse(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise StoreError(
            "A row of the database is not as this program writes it; restore it from a backup."
        ) from error
