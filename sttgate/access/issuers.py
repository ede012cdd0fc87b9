"""Tokens of another issuer (JWT, RFC 7519), checked with the keys it publishes (JWKS, RFC 7517)."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
import structlog
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from sttgate.access.principal import Principal, parse_scopes
from sttgate.config.model import JwtConfig

log = structlog.get_logger(__name__)

FRESH = 600.0  # seconds the keys are used before they are fetched again
PAUSE = 60.0  # seconds between two fetches for a key nobody knows: strangers choose the `kid`
_TIMEOUT = aiohttp.ClientTimeout(total=10)
_MAX_BYTES = 256 * 1024
_LEEWAY = 30  # seconds


class Issuer:
    """Checks tokens of one issuer; fetches its keys when they are first needed."""

    def __init__(self, config: JwtConfig) -> None:
        self._config = config
        self._keys: KeySet | None = None
        self._fetched_at = -FRESH
        self._tried_at = -PAUSE
        self._fetching = asyncio.Lock()

    async def check(self, token: str) -> Principal | None:
        """Return whose token it is, or None if it is no good or its keys cannot be had."""
        for wanted in (FRESH, PAUSE):
            keys = await self._fresh_keys(wanted)
            if keys is None:
                return None
            try:
                return self._principal(token, keys)
            except InvalidKeyIdError:
                continue  # signed with a key we do not have: perhaps a new one
            except (JoseError, ValueError, TypeError, KeyError):
                return None
        return None

    def _principal(self, token: str, keys: KeySet) -> Principal:
        config = self._config
        claims = jwt.decode(token, keys, algorithms=list(config.algorithms)).claims
        rules = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss={"essential": True, "value": config.issuer},
            aud={"essential": True, "value": config.audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        rules.validate(claims)
        scope = claims.get("scope", "")
        listed = " ".join(map(str, scope)) if isinstance(scope, list) else str(scope)
        # Its own prefix: no other issuer's subject can be taken for the id of a key.
        return Principal(
            id=f"jwt:{claims['sub']}", scopes=parse_scopes(listed), expires_at=float(claims["exp"])
        )

    async def _fresh_keys(self, age: float) -> KeySet | None:
        """Return the keys, fetched again if they are older than ``age`` seconds."""
        async with self._fetching:
            now = time.monotonic()
            if now - self._fetched_at < age or now - self._tried_at < min(age, PAUSE):
                return self._keys
            self._tried_at = now
            try:
                self._keys = await self.fetch()
                self._fetched_at = now
            except (aiohttp.ClientError, TimeoutError, JoseError, ValueError, TypeError) as error:
                log.warning("jwks_not_fetched", error=type(error).__name__)
            return self._keys

    async def fetch(self) -> KeySet:
        """Ask for the keys; ClientError, TimeoutError, JoseError or ValueError if they cannot be had."""
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as client,
            client.get(self._config.jwks_url, allow_redirects=False) as response,
        ):
            response.raise_for_status()
            body = bytearray()
            async for block in response.content.iter_any():
                body += block
                if len(body) > _MAX_BYTES:
                    raise ValueError("too much")
        return KeySet.import_key_set(json.loads(body))
