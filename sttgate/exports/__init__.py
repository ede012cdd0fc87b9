"""Conversations as files for people and programs: text, subtitles, JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from sttgate.errors import ErrorCode, RequestError
from sttgate.exports import json, srt, txt, vtt

if TYPE_CHECKING:
    from sttgate.stores import Conversation


@dataclass(frozen=True, slots=True)
class Format:
    """How a conversation is written; ``suffix`` begins with a dot."""

    render: Callable[[Conversation], str]
    media_type: str
    suffix: str


@dataclass(frozen=True, slots=True)
class Exported:
    """A conversation in a format; save ``text`` as UTF-8, lines end with a line feed."""

    text: str
    media_type: str
    suffix: str


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "txt": Format(txt.render, "text/plain", ".txt"),
        "srt": Format(srt.render, "application/x-subrip", ".srt"),
        "vtt": Format(vtt.render, "text/vtt", ".vtt"),
        "json": Format(json.render, "application/json", ".json"),
    }
)
"""By name."""


def export(conversation: Conversation, format: str) -> Exported:
    """Return a conversation as ``txt``, ``srt``, ``vtt`` or ``json``; RequestError for another name.

    A long one takes a while: about 0.1 s for an hour of speech, so call it in a thread.
    """
    if (known := FORMATS.get(format)) is None:
        raise RequestError(
            ErrorCode.BAD_REQUEST,
            f"There is no format {format!r}; use one of {', '.join(FORMATS)}.",
        )
    return Exported(known.render(conversation), known.media_type, known.suffix)
