"""What a client of the native protocol is sent, rendered: pure, no I/O (docs/protocol.md).

An entry as protocol 2 sends it is ``sttgate.session.rendering``'s.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sttgate.session import entries
from sttgate.session.entries import AnyEntry

_encode = msgspec.json.Encoder().encode


class _BaseTranscript(msgspec.Struct, tag_field="event", tag="transcript"):
    text: str
    is_final: bool


class _BaseUtteranceEnd(msgspec.Struct, tag_field="event", tag="utterance_end"):
    text: str = ""


class _BaseError(msgspec.Struct, tag_field="event", tag="error"):
    message: str


class _BaseStopped(msgspec.Struct, tag_field="event", tag="stopped"):
    message: str
    session_id: str
    full_transcription: str


def render_base(entry: AnyEntry) -> str | None:
    """Return an entry as protocol 1 sends it, byte for byte, or None for what it does not know."""
    base: msgspec.Struct
    match entry:
        case entries.Transcript(text=text, is_final=is_final):
            base = _BaseTranscript(text, is_final)
        case entries.UtteranceEnd():
            base = _BaseUtteranceEnd()
        case entries.Error(message=message):
            base = _BaseError(message)
        case entries.Stopped():
            base = _BaseStopped(entry.message, entry.session_id, entry.full_transcription)
        case _:
            return None
    return _encode(base).decode()


def render_message(event: str, **fields: Any) -> str:
    """Return a message that belongs to the connection, not to a session, so has no ``seq``."""
    return _encode({"event": event} | fields).decode()
