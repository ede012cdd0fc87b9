"""The door: from a request to a principal, or to a refusal."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from sttgate.access.addresses import client_address, is_loopback
from sttgate.access.credentials import Credential, presented
from sttgate.access.issuers import Issuer
from sttgate.access.keys import PREFIX, KeyFile, KeyFileError
from sttgate.access.ledger import Ledger, OwnLedger
from sttgate.access.principal import EVERYBODY, Principal, Scope
from sttgate.access.tokens import Tokens, load_secret
from sttgate.config import Config
from sttgate.config.model import AccessConfig, LimitsConfig
from sttgate.errors import SttgateError

log = structlog.get_logger(__name__)

FAILURES_PER_MINUTE = 20  # of one address; nobody guesses 256 bits, but why let them try
_WATCH_INTERVAL = 1.0  # seconds until a revoked key is no good any more
_SCOPE = "__sttgate_scope__"
_WRONG_KEY = "wrong key"  # in the ledger

PRINCIPAL = web.RequestKey("principal", Principal)
"""Where a request carries its principal."""

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


def needs(scope: Scope) -> Callable[[HandlerT], HandlerT]:
    """Mark a handler as one for principals with ``scope``."""

    def mark(handler: HandlerT) -> HandlerT:
        setattr(handler, _SCOPE, scope)
        return handler

    return mark


def scope_of(request: web.Request) -> Scope | None:
    """Return the scope that the handler of a request is marked with, None if it has no mark."""
    return getattr(request.match_info.handler, _SCOPE, None)


class NobodyMayEnter(SttgateError):
    """Keys are asked for, and there is none; the sentence says what to do."""


class Gate:
    """Checks who makes a request. With ``enforced`` False everybody is let in.

    ``on_change`` is called when the keys have changed, so that who was let in can be looked at again.
    Wrong keys and used tokens are counted in ``ledger``.
    """

    def __init__(
        self,
        access: AccessConfig,
        limits: LimitsConfig,
        ledger: Ledger | None = None,
        *,
        enforced: bool,
    ) -> None:
        self.enforced = enforced
        self.keys = KeyFile(access.keys)
        self._access = access
        self._proxies = limits.trusted_proxies
        self._tokens: Tokens | None = None
        self._issuer = Issuer(access.jwt) if access.jwt is not None else None
        self._ledger = ledger or OwnLedger()
        self._watching: asyncio.Task[None] | None = None
        self.on_change: Callable[[], None] = lambda: None

    @classmethod
    def from_config(cls, config: Config, ledger: Ledger | None = None) -> Gate:
        """Return the gate for where the server listens: beyond this machine everybody is asked."""
        beyond = not is_loopback(config.server.host) and not config.access.insecure
        enforced = config.access.required or beyond
        return cls(config.access, config.limits, ledger, enforced=enforced)

    @classmethod
    def for_everybody(cls) -> Gate:
        """Return a gate that asks nobody."""
        return cls(AccessConfig.model_validate({}), LimitsConfig.model_validate({}), enforced=False)

    def use(self, limits: LimitsConfig) -> None:
        """Believe the proxies of these from now on."""
        self._proxies = limits.trusted_proxies

    def open(self) -> None:
        """Read keys and secret; raise NobodyMayEnter, KeyFileError or SecretError."""
        if self.enforced:
            self.keys.refresh()
            if self._issuer is None and not any(key.holds(time.time()) for key in self.keys):
                raise NobodyMayEnter(
                    "this gateway asks for an API key, and there is none: make one with `sttgate "
                    "keys create NAME`, listen on 127.0.0.1 only, or serve with --insecure to let "
                    "everybody in"
                )
            self._tokens = Tokens(load_secret(self._access.secret), self._ledger)
            self._watching = asyncio.create_task(self._watch(), name="keys")

    async def close(self) -> None:
        """Stop to watch the keys."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})

    @property
    def tokens(self) -> Tokens | None:
        """What mints tokens; None when nobody needs one."""
        return self._tokens

    async def admit(self, request: web.BaseRequest, *, use_token: bool = False) -> Principal:
        """Return who makes the request; raise HTTPUnauthorized, or HTTPTooManyRequests after many."""
        if not self.enforced:
            return EVERYBODY
        address = client_address(request, self._proxies)
        if wait := await self._ledger.wait(_WRONG_KEY, address, FAILURES_PER_MINUTE):
            raise web.HTTPTooManyRequests(
                text="Too many wrong keys came from this address. Try again later.\n",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        credential = presented(request)
        principal = await self._principal(credential, use_token) if credential else None
        if principal is None:
            if credential is not None:
                await self._ledger.attempt(_WRONG_KEY, address, FAILURES_PER_MINUTE)
                log.warning("key_refused", path=request.path)
            raise web.HTTPUnauthorized(
                text="This needs a valid API key: send it as 'Authorization: Bearer KEY'.\n",
                headers={"WWW-Authenticate": 'Bearer realm="sttgate"'},
            )
        return principal

    def holds(self, principal: Principal) -> bool:
        """Whether the key a principal came with has not been revoked meanwhile."""
        if not self.enforced or principal.key_id is None:
            return True
        key = self.keys.get(principal.key_id)
        return key is not None and key.revoked_at is None

    async def _principal(self, credential: Credential, use_token: bool) -> Principal | None:
        secret, in_url = credential
        if secret.startswith(PREFIX):
            key = None if in_url else self.keys.find(secret)
            return key.principal if key is not None else None
        assert self._tokens is not None
        principal = await self._tokens.check(secret, use=use_token)
        if principal is not None:
            return principal if self.holds(principal) else None
        if self._issuer is not None and not in_url:
            return await self._issuer.check(secret)
        return None

    async def _watch(self) -> None:
        known = self.keys.version
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
            try:
                self.keys.refresh()
            except KeyFileError as error:
                log.error("keys_not_read", error=str(error))  # the ones known go on
                continue
            if self.keys.version != known:
                known = self.keys.version
                log.info("keys_changed")
                self.on_change()


def control_access(
    gate: Gate, scope_of: Callable[[web.Request], Scope | None] = scope_of
) -> Middleware:
    """Return a middleware that lets through who has the scope a request needs, everybody for None."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (scope := scope_of(request)) is None:
            return await handler(request)
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        principal = await gate.admit(request, use_token=upgrade)
        if not principal.may(scope):
            raise web.HTTPForbidden(text=f"This needs a key with the scope '{scope}'.\n")
        if principal.session is not None and request.match_info.get("id") != principal.session:
            raise web.HTTPForbidden(text="This token is for one session only.\n")
        request[PRINCIPAL] = principal
        return await handler(request)

    return middleware
