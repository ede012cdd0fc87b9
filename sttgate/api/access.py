"""Who is asking, and short-lived tokens for pages that must not hold a key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from sttgate.access.gate import Gate
from sttgate.access.principal import EVERYBODY, SCOPES, Principal, Scope
from sttgate.access.tokens import DEFAULT_TTL, LONGEST_TTL
from sttgate.api.problems import ApiProblem
from sttgate.api.routing import ID_PATTERN, Answer, Operation, json_response


class Me(BaseModel):
    """Who makes a request, and what that one may do."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    access: Literal["on", "off"]
    """``off``: nobody needs a key."""
    id: str | None
    """The id of the API key, or ``jwt:`` and the subject of another issuer's token."""
    scopes: list[Scope]


class TokenRequest(BaseModel):
    """What a token is wanted for."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    ttl_seconds: int = Field(DEFAULT_TTL, ge=1, le=LONGEST_TTL)
    """How long it can be used."""
    scopes: list[Scope] = Field(["transcribe"], min_length=1)
    """What it allows, of what the key allows."""
    session: str | None = Field(None, pattern=f"^{ID_PATTERN}$")
    """The id of the only session it is for. With a key that has `admin` that may be anybody's."""


class TokenAnswer(BaseModel):
    """A token: present it like a key, or as ``?token=``; it opens one WebSocket."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    token: str
    expires_at: datetime
    scopes: list[Scope]


class AccessApi:
    """The operations about access itself."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def operations(self) -> Iterable[Operation]:
        """Return the operations."""
        return [
            Operation(
                name="getMe",
                method="GET",
                path="/me",
                handler=self.me,
                scope=None,
                summary="Who am I, and what may I do?",
                answers=(Answer(text="Whose key this is.", model=Me),),
            ),
            Operation(
                name="createToken",
                method="POST",
                path="/tokens",
                handler=self.create_token,
                scope=None,
                summary="Make a short-lived token",
                text=(
                    "Any API key can make tokens that allow what it allows itself, or less. A token "
                    "makes no tokens. Revoking the key ends them."
                ),
                body=TokenRequest,
                answers=(Answer(text="The token.", status=201, model=TokenAnswer),),
                problems={409: "Access control is off, so nobody needs a token."},
            ),
        ]

    async def me(self, request: web.Request) -> web.Response:
        """Tell whose key or token a request has."""
        principal = await self._gate.admit(request)
        me = Me(
            access="on" if self._gate.enforced else "off",
            id=principal.id,
            scopes=_listed(principal),
        )
        return json_response(me, headers={"Cache-Control": "no-store"})

    async def create_token(self, request: web.Request, body: TokenRequest) -> web.Response:
        """Mint a token for what the key behind a request allows."""
        principal = await self._gate.admit(request)
        tokens = self._gate.tokens
        if tokens is None or principal is EVERYBODY:
            raise ApiProblem(409, "Access control is off: nobody needs a token here.")
        if principal.is_token:
            raise ApiProblem(403, "A token makes no tokens; use the API key.")
        scopes = frozenset(scope for scope in body.scopes if principal.may(scope))
        if not scopes:
            raise ApiProblem(403, f"This key does not allow {', '.join(body.scopes)}.")
        token, expires_at = tokens.mint(principal, scopes, body.ttl_seconds, body.session)
        answer = TokenAnswer(
            token=token,
            expires_at=datetime.fromtimestamp(expires_at, UTC),
            scopes=[scope for scope in SCOPES if scope in scopes],
        )
        return json_response(answer, 201, {"Cache-Control": "no-store"})


def _listed(principal: Principal) -> list[Scope]:
    return [scope for scope in SCOPES if principal.may(scope)]
