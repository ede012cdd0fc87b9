"""Plain text to read: a paragraph for each turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from sttgate.exports.turns import Turn, speakers, turns

if TYPE_CHECKING:
    from sttgate.stores import Conversation

_PAUSE = 3.0  # seconds after which the same speaker begins a new paragraph
_LONG = 600  # characters after which the next utterance does


def render(conversation: Conversation) -> str:
    """Return a conversation as paragraphs with an empty line between them.

    If more than one speaks, each begins with the name and a colon.
    """
    said = turns(conversation)
    named = len(speakers(said)) > 1
    return "\n".join(
        f"{first.speaker}: {text}\n" if named else f"{text}\n" for first, text in _paragraphs(said)
    )


def _paragraphs(said: Iterable[Turn]) -> Iterator[tuple[Turn, str]]:
    """Yield the first turn of each paragraph, and its text."""
    first, text, end = None, "", 0.0
    for turn in said:
        if (
            first is None
            or (turn.channel, turn.speaker) != (first.channel, first.speaker)
            or turn.pieces[0].start - end >= _PAUSE
            or len(text) >= _LONG
        ):
            if first is not None:
                yield first, text
            first, text = turn, turn.text
        else:
            text = f"{text} {turn.text}"
        end = turn.pieces[-1].end
    if first is not None:
        yield first, text
