"""Entries of the event log as text: what protocol 2 sends of them, and what somebody who only watches."""

from __future__ import annotations

import copy

import msgspec
from msgspec import UNSET

from sttgate.session import entries
from sttgate.session.entries import AnyEntry

_encode = msgspec.json.Encoder().encode


def render(entry: AnyEntry, *, words: bool) -> str:
    """Return an entry as protocol 2 sends it; words of a transcript only where asked for."""
    if not words and isinstance(entry, entries.Transcript) and entry.words is not UNSET:
        entry = copy.copy(entry)  # others render the same entry
        entry.words = UNSET
    return _encode(entry).decode()


def render_for_watchers(entry: AnyEntry, *, words: bool) -> str:
    """Return an entry as protocol 2 sends it, without what only the client itself may know."""
    if isinstance(entry, entries.Started):
        # Who has the token may take the session over.
        fields = {name: getattr(entry, name) for name in entry.__struct_fields__}
        entry = entries.Started(**(fields | {"resume_token": UNSET, "resume_window_s": UNSET}))
    return render(entry, words=words)
