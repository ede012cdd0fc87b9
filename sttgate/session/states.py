"""The states of a session and the moves between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a session stands."""

    OPENING = "opening"
    LISTENING = "listening"
    RECOVERING = "recovering"
    DRAINING = "draining"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DISCARDED = "discarded"


MOVES: Mapping[State, frozenset[State]] = {
    State.OPENING: frozenset({State.LISTENING, State.RECOVERING, State.DRAINING}),
    State.LISTENING: frozenset({State.RECOVERING, State.DRAINING}),
    State.RECOVERING: frozenset({State.LISTENING, State.DRAINING}),
    State.DRAINING: frozenset(
        {State.COMPLETED, State.INCOMPLETE, State.INTERRUPTED, State.FAILED, State.DISCARDED}
    ),
}


def check_move(before: State, to: State) -> None:
    """Raise RuntimeError for a move that the table does not have."""
    if to not in MOVES.get(before, ()):
        raise RuntimeError(f"a session cannot go from {before} to {to}")
