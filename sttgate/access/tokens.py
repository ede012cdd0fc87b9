"""Short-lived tokens that the gateway mints itself, for pages that must not hold a key.

JSON web tokens signed with HS256 and a secret of this instance. A token opens one WebSocket: the
ledger remembers its ``jti`` until it is over.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Any

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from sttgate.access.ledger import Ledger, OwnLedger
from sttgate.access.principal import Principal, Scope, parse_scopes
from sttgate.config.modes import others_can_read, others_can_write
from sttgate.errors import SttgateError

log = structlog.get_logger(__name__)

DEFAULT_TTL = 30  # seconds
LONGEST_TTL = 3600
ISSUER = "sttgate"
_LEEWAY = 5  # seconds clocks of the instances that share a secret may differ
_SECRET_BYTES = 32


class SecretError(SttgateError):
    """The instance secret cannot be read or written; the sentence says where and what to do."""


def load_secret(path: Path) -> bytes:
    """Return the instance secret in ``path``, made if it is not there; raise SecretError.

    Instances that share the file take each other's tokens.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(_SECRET_BYTES))
        if others_can_write(path):
            raise SecretError(
                f"everyone may write to the secret for tokens {path}: remove the file, and a new one is "
                "made"
            )
        if others_can_read(path):
            log.warning("secret_open_to_all", path=str(path), cure=f"chmod 600 {path}")
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SecretError(
            f"the secret for tokens {path} cannot be used: {(error.strerror or '').lower()}; make it "
            "readable for this user only or set another 'access.secret' in the configuration"
        ) from error
    if len(secret) < _SECRET_BYTES:
        raise SecretError(
            f"the secret for tokens {path} is too short: remove the file, and a new one is made"
        )
    return secret


class Tokens:
    """Mints and checks tokens with ``secret``; ``ledger`` knows which were used."""

    def __init__(self, secret: bytes, ledger: Ledger | None = None) -> None:
        self._key = OctKey.import_key(secret)
        self._ledger = ledger or OwnLedger()

    def mint(
        self,
        principal: Principal,
        scopes: frozenset[Scope],
        ttl: float,
        session: str | None = None,
    ) -> tuple[str, float]:
        """Return a token for what ``principal`` may do of ``scopes``, and when it ends (epoch).

        One for a ``session`` is good for that one only. If ``principal`` sees those of all, so does
        the token; without ``session`` it does not, or it would show more than it says.
        """
        now = time.time()
        expires_at = min(now + ttl, principal.expires_at or float("inf"))
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": principal.id or "",
            "iat": int(now),
            "exp": int(expires_at),
            "scope": " ".join(sorted(scope for scope in scopes if principal.may(scope))),
            "jti": secrets.token_urlsafe(16),
        }
        if principal.key_id is not None:
            claims["key_id"] = principal.key_id
        if principal.max_sessions is not None:
            claims["max_sessions"] = principal.max_sessions
        if session is not None:
            claims["session"] = session
            claims["sees_all"] = principal.owner is None
        return jwt.encode({"alg": "HS256"}, claims, self._key), float(claims["exp"])

    async def check(self, token: str, *, use: bool) -> Principal | None:
        """Return whose token it is, None if it is no good; ``use`` makes it good no more."""
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
            rules = jwt.JWTClaimsRegistry(
                leeway=_LEEWAY,
                iss={"essential": True, "value": ISSUER},
                sub={"essential": True},
                exp={"essential": True},
                jti={"essential": True},
            )
            rules.validate(claims)
        except (JoseError, ValueError, TypeError):
            return None
        jti, expires_at = str(claims["jti"]), float(claims["exp"])
        if not await (self._ledger.spend(jti, expires_at) if use else self._ledger.is_unspent(jti)):
            return None
        key_id, most = claims.get("key_id"), claims.get("max_sessions")
        session = claims.get("session")
        return Principal(
            id=str(claims["sub"]) or None,
            scopes=parse_scopes(str(claims.get("scope", ""))),
            key_id=str(key_id) if key_id is not None else None,
            expires_at=expires_at,
            max_sessions=most if isinstance(most, int) else None,
            is_token=True,
            session=str(session) if session is not None else None,
            sees_all=session is not None and claims.get("sees_all") is True,
        )
