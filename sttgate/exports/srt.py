"""SubRip (``.srt``): the subtitles that every player knows.

There is no specification and no escaping: players look for HTML tags, for ``{`` as in ASS, and for
the arrow between two times. A word joiner, which is not seen, keeps them from finding any.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sttgate.exports.cues import Cue, cues, stamp
from sttgate.exports.turns import speakers, turns

if TYPE_CHECKING:
    from sttgate.stores import Conversation

WORD_JOINER = "\N{WORD JOINER}"
_MARKUP = re.compile(r"--(?=>)|[<{](?=\S)|\\(?=[Nnh{}])")


def render(conversation: Conversation) -> str:
    """Return the subtitles of a conversation; with names if more than one speaks."""
    said = turns(conversation)
    shown = cues(said, named=len(speakers(said)) > 1)
    return "\n".join(_block(number, cue) for number, cue in enumerate(shown, 1))


def _block(number: int, cue: Cue) -> str:
    text = "\n".join(map(_plain, cue.lines))
    return f"{number}\n{stamp(cue.start, ',')} --> {stamp(cue.end, ',')}\n{text}\n"


def _plain(line: str) -> str:
    return _MARKUP.sub(rf"\g<0>{WORD_JOINER}", line)
