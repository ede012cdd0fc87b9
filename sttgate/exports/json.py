"""JSON: everything that is stored of a conversation, for programs (docs/sessions.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from sttgate.stores import Conversation

VERSION = 1
"""Grows when a key changes its meaning or goes; keys may be added without."""


def render(conversation: Conversation) -> str:
    """Return a conversation as one JSON object on one line."""
    return f"{msgspec.json.encode(describe(conversation)).decode()}\n"


def describe(conversation: Conversation) -> dict[str, object]:
    """Return a conversation as an object of JSON; instants are seconds since the epoch (UTC).

    ``provider``, ``model``, ``language`` and ``metadata`` are those of the end if it knows them.
    """
    session = conversation.session
    known: dict[str, object] = msgspec.to_builtins(session.start)
    end: dict[str, object] = {} if session.end is None else msgspec.to_builtins(session.end)
    later = ("provider", "model", "language", "metadata")
    return {
        "format": "sttgate-conversation",
        "version": VERSION,
        **known,
        "state": "active",
        "ended_at": None,
        "duration": None,
        "reason": None,
        "recording": False,
        "marks": [],
        "gaps": [],
        "usage": {},
        **{key: value for key, value in end.items() if key not in later or value is not None},
        "speakers": dict(session.speakers),
        "text": conversation.text,
        "utterances": msgspec.to_builtins(conversation.utterances),
    }
