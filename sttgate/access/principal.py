"""Who makes a request, and what that one may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Scope = Literal["transcribe", "read", "delete", "admin"]
SCOPES: tuple[Scope, ...] = ("transcribe", "read", "delete", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The one behind a request.

    ``id`` owns the sessions it opens; None when nobody is asked for a key, and then everything
    belongs to everybody. ``expires_at`` is when the credential ends, seconds since the epoch;
    ``key_id`` the API key it came from, if any, whose end is the principal's too; ``is_token`` says that
    it came with a token this gateway made. ``session`` is the only session it may do anything with;
    ``sees_all``: that may be anybody's.
    """

    id: str | None
    scopes: frozenset[Scope] = field(default_factory=frozenset)
    key_id: str | None = None
    expires_at: float | None = None
    max_sessions: int | None = None
    is_token: bool = False
    session: str | None = None
    sees_all: bool = False

    def may(self, scope: Scope) -> bool:
        """Whether it has the scope; ``admin`` has every one."""
        return scope in self.scopes or "admin" in self.scopes

    @property
    def owner(self) -> str | None:
        """Whose sessions it sees: its own, None for those of all."""
        return None if self.sees_all or self.may("admin") else self.id

    def sees(self, owner: str | None) -> bool:
        """Whether a session of ``owner`` exists for this principal."""
        return self.owner is None or self.owner == owner


EVERYBODY = Principal(id=None, scopes=frozenset(SCOPES))
"""Who makes a request when access control is off."""


def parse_scopes(text: str) -> frozenset[Scope]:
    """Return the scopes of a list with spaces or commas; unknown ones grant nothing."""
    named = text.replace(",", " ").split()
    return frozenset(scope for scope in SCOPES if scope in named)
