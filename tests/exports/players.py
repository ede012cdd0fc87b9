"""Subtitles as parsers read them that are not ours."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from html import unescape

import pysubs2
import webvtt

from sttgate.exports import export
from sttgate.stores import Conversation


@dataclass(frozen=True)
class Shown:
    """A subtitle: times are milliseconds, ``text`` has the lines as people see them."""

    start: int
    end: int
    text: str
    speaker: str | None = None

    @property
    def lines(self) -> list[str]:
        """The lines of the text."""
        return self.text.split("\n")


def read_srt(conversation: Conversation) -> list[Shown]:
    """Return what pysubs2 finds in the SubRip file of a conversation."""
    text = export(conversation, "srt").text
    assert text == "" or text.startswith("1\n")
    events = pysubs2.SSAFile.from_string(text, format_="srt").events
    return [
        Shown(event.start, event.end, unicodedata.normalize("NFKC", event.plaintext))
        for event in events
    ]


def read_vtt(conversation: Conversation) -> list[Shown]:
    """Return what webvtt-py finds in the WebVTT file of a conversation."""
    captions = webvtt.from_string(export(conversation, "vtt").text).captions
    return [
        Shown(
            _milliseconds(caption.start),
            _milliseconds(caption.end),
            unescape(caption.text),
            None if caption.voice is None else unescape(caption.voice),
        )
        for caption in captions
    ]


def _milliseconds(stamp: str) -> int:
    hours, minutes, seconds = stamp.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)
