"""Between the contract's types and rows; lists and objects are JSON."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

from sttgate import (
    Gap,
    Hit,
    Mark,
    SessionChange,
    SessionEnd,
    SessionStart,
    StoredSession,
    StoreError,
    Utterance,
    Word,
)

T = TypeVar("T")

PREVIEW_LENGTH = 120
"""Characters of a session's text that ``StoredSession.preview`` has at most."""

SESSION_COLUMNS = f"""
    s.seq, s.id, s.created_at, s.protocol, s.sample_rate, s.channels, s.provider, s.model, s.language,
    s.title, s.client_ref, s.owner, s.metadata, s.speakers, s.state, s.ended_at, s.duration,
    s.reason, s.recording, s.marks, s.gaps, s.usage, s.utterances, s.words,
    (SELECT group_concat(text, ' ') FROM (
        SELECT substr(text, 1, {PREVIEW_LENGTH + 1}) AS text FROM utterances
        WHERE id BETWEEN s.seq << 24 AND s.seq << 24 | 0xFFFFFF AND text <> ''
        ORDER BY id LIMIT 5
    )) AS preview
"""
"""What ``session_from`` needs, selected from ``sessions AS s``."""


def start_parameters(start: SessionStart) -> dict[str, object]:
    """Return the columns of a new session."""
    return clean(_columns(start) | {"metadata": to_json(start.metadata)})


def end_parameters(session_id: str, end: SessionEnd) -> dict[str, object]:
    """Return the columns of an ended session; None where what ``begin`` stored stays."""
    encoded = {
        "metadata": None if end.metadata is None else to_json(end.metadata),
        "marks": to_json(end.marks),
        "gaps": to_json(end.gaps),
        "usage": to_json(end.usage),
    }
    return clean(_columns(end) | encoded | {"id": session_id})


def change_parameters(session_id: str, change: SessionChange) -> dict[str, object]:
    """Return what to change of a session; None where a column stays as it is."""
    encoded = {
        "speakers": None if change.speakers is None else to_json(change.speakers),
        "metadata": None if change.metadata is None else to_json(change.metadata),
    }
    return clean(_columns(change) | encoded | {"id": session_id})


def utterance_parameters(session_id: str, utterance: Utterance) -> dict[str, object]:
    """Return the columns of an utterance."""
    counted = {"session_id": session_id, "word_count": len(utterance.text.split())}
    return clean(_columns(utterance) | counted | {"words": to_json(utterance.words)})


def session_from(row: sqlite3.Row, hits: Sequence[Hit] = ()) -> StoredSession:
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
        owner=row["owner"],
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
        start=start,
        end=end,
        utterances=row["utterances"],
        words=row["words"],
        preview=preview,
        speakers=_parse(row["speakers"], dict[str, str]),
        hits=hits,
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


def _columns(value: SessionStart | SessionEnd | SessionChange | Utterance) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def clean(columns: dict[str, object]) -> dict[str, object]:
    """Put "?" for halves of surrogate pairs, which some clients cut texts into; SQLite has none."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in columns.items()
    }


def to_json(value: object) -> str:
    """Return ``value`` as JSON, the same text for the same value."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # left to clean
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


def _parse(text: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise StoreError(
            "A row of the database is not as this program writes it; restore it from a backup."
        ) from error
