"""JSON: everything that is stored of a conversation, for programs; docs/sessions.md has the keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from sttgate.stores import Conversation, StoredSession

FORMAT = "sttgate-conversation"
VERSION = 1
"""Grows when a key goes or changes its meaning; keys may be added without."""


def render(conversation: Conversation) -> str:
    """Return a conversation as one JSON object on one line."""
    return f"{msgspec.json.encode(describe(conversation)).decode()}\n"


def describe(conversation: Conversation) -> dict[str, object]:
    """Return a conversation as an object of JSON."""
    return {
        "format": FORMAT,
        "version": VERSION,
        **facts(conversation.session),
        "text": conversation.text,
        "utterances": msgspec.to_builtins(conversation.utterances),
    }


def facts(session: StoredSession) -> dict[str, object]:
    """Return what is known of a session apart from what was said, as an object of JSON.

    Instants are RFC 3339 in UTC, other times seconds. What the end knows counts more than what the
    start does.
    """
    start, end = session.start, session.end
    metadata = end.metadata if end and end.metadata is not None else start.metadata
    return {
        "id": start.id,
        "title": start.title,
        "state": end.state if end else "active",
        "reason": end.reason if end else None,
        "created_at": _instant(start.created_at),
        "ended_at": _instant(end.ended_at) if end else None,
        "duration": end.duration if end else None,
        "protocol": start.protocol,
        "provider": (end and end.provider) or start.provider,
        "model": (end and end.model) or start.model,
        "language": (end and end.language) or start.language,
        "sample_rate": start.sample_rate,
        "channels": start.channels,
        "recording": end.recording if end else False,
        "client_ref": start.client_ref,
        "owner": start.owner,
        "metadata": dict(metadata),
        "speakers": dict(session.speakers),
        "marks": msgspec.to_builtins(end.marks) if end else [],
        "gaps": msgspec.to_builtins(end.gaps) if end else [],
        "usage": dict(end.usage) if end else {},
        "words": session.words,
    }


def _instant(seconds: float) -> str:
    written = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")
