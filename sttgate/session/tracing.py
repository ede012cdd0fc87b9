"""What a session tells whoever traces it; nobody does unless traces are configured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sttgate.session.entries import Transcript
from sttgate.session.params import SessionParams


class SessionTrace(Protocol):
    """Told of the few things in a session that take time. Calls return at once and never raise."""

    def connected(self, provider: str, seconds: float) -> None:
        """A stream has just taken its first audio, ``seconds`` after it could have."""

    def connect_failed(self, provider: str, seconds: float, code: str) -> None:
        """A stream ended with an error ``seconds`` after it began, before it took any audio."""

    def segment(self, provider: str, final: Transcript, spoken_s: float | None) -> None:
        """A final was delivered, ``spoken_s`` after its audio began to come (None: not known)."""

    def ended(self, outcome: str, reason: str, provider: str | None) -> None:
        """The session is over."""


Tracing = Callable[[SessionParams], SessionTrace]
"""Called when a session begins."""
