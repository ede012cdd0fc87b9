"""Being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sttgate.stores import Conversation


def render(conversation: Conversation) -> str:
    """Return the text of a conversation."""
    return "".join(f"{u.text}\n" for u in conversation.utterances if u.text)
