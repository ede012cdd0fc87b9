"""WebVTT (``.vtt``), the subtitles of browsers: https://www.w3.org/TR/webvtt1/."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sttgate.exports.cues import Cue, cues, stamp
from sttgate.exports.turns import speakers, turns

if TYPE_CHECKING:
    from sttgate.stores import Conversation

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def render(conversation: Conversation) -> str:
    """Return the subtitles of a conversation; who speaks is said if it is known, or not always one."""
    said = turns(conversation)
    several = len(speakers(said)) > 1
    names = {turn.speaker for turn in said if several or turn.pieces[0].label is not None}
    return "\n".join(["WEBVTT\n", *(_block(cue, names) for cue in cues(said, named=False))])


def _block(cue: Cue, names: Collection[str]) -> str:
    # One voice for the whole cue needs no end tag (4.2.2).
    voice = f"<v {_escape(cue.speaker)}>" if cue.speaker in names else ""
    text = "\n".join(map(_escape, cue.lines))
    return f"{stamp(cue.start, '.')} --> {stamp(cue.end, '.')}\n{voice}{text}\n"


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)
