"""SubRip (``.srt``): the subtitles that every player knows.

There is no specification and no escaping. Programs look for tags of HTML, for the braces and
backslashes of ASS, and for two times in a line, some of them whatever stands in between.
Full-width characters look the same to people, and Unicode's NFKC turns them back.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sttgate.exports.cues import Cue, cues, stamp
from sttgate.exports.turns import speakers, turns

if TYPE_CHECKING:
    from sttgate.stores import Conversation

_LOOKALIKES = str.maketrans("<>{}\\", "\uff1c\uff1e\uff5b\uff5d\uff3c")
_TIME = re.compile(r"(?<=\d):(?=\d\d:\d\d[.,]\d)")


def render(conversation: Conversation) -> str:
    """Return the subtitles of a conversation; with names if more than one speaks."""
    said = turns(conversation)
    shown = cues(said, named=len(speakers(said)) > 1)
    return "\n".join(_block(number, cue) for number, cue in enumerate(shown, 1))


def _block(number: int, cue: Cue) -> str:
    text = _TIME.sub("\uff1a", "\n".join(cue.lines).translate(_LOOKALIKES))
    return f"{number}\n{stamp(cue.start, ',')} --> {stamp(cue.end, ',')}\n{text}\n"
