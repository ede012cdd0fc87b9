"""Tokens of another issuer, checked with the keys it publishes."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from sttgate.access import issuers
from sttgate.access.issuers import Issuer
from sttgate.config.model import JwtConfig
from tests.access.doors import OpenDoor, bearer

ISSUER = "https://login.example.com"
FOR_US = "sttgate"


class Publisher:
    """An identity provider: it publishes its keys and signs with them."""

    def __init__(self) -> None:
        self.keys = [RSAKey.generate_key(2048, {"kid": "first"}, auto_kid=False)]
        self.fetched = 0
        self.broken = False

    async def show(self, request: web.Request) -> web.Response:
        """Answer with the public keys."""
        self.fetched += 1
        if self.broken:
            raise web.HTTPServiceUnavailable
        return web.json_response(KeySet(self.keys).as_dict(private=False))

    def sign(self, key: Any = None, alg: str = "RS256", **claims: object) -> str:
        """Return a token that is good but for ``claims``."""
        key = key or self.keys[-1]
        usual = {
            "iss": ISSUER,
            "aud": FOR_US,
            "sub": "alice",
            "exp": int(time.time()) + 60,
            "scope": "transcribe read",
        }
        return jwt.encode(
            {"alg": alg, "kid": key.kid or "first"}, usual | claims, key, algorithms=[alg]
        )


@pytest.fixture
async def publisher() -> AsyncIterator[tuple[Publisher, str]]:
    """Return an identity provider and the URL of its keys."""
    publisher = Publisher()
    app = web.Application()
    app.router.add_get("/jwks.json", publisher.show)
    async with TestServer(app) as server:
        yield publisher, str(server.make_url("/jwks.json"))


def signed_with_what_is_public(publisher: Publisher) -> str:
    """Return a token whose signature takes the public key for a shared secret."""
    body = publisher.sign().split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"first"}').rstrip(b"=").decode()
    public = publisher.keys[0].as_pem(private=False)
    signature = hmac.digest(public, f"{head}.{body}".encode(), "sha256")
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def config(url: str) -> JwtConfig:
    """Return the section ``access.jwt``."""
    return JwtConfig(jwks_url=url, issuer=ISSUER, audience=FOR_US)


async def test_a_token_of_theirs(publisher: tuple[Publisher, str], open_door: OpenDoor) -> None:
    """A token of the issuer gets in with the scopes it names, as its subject."""
    theirs, url = publisher
    door = await open_door({"jwt": {"jwks_url": url, "issuer": ISSUER, "audience": FOR_US}})
    async with door.client.get("/api/v1/me", headers=bearer(theirs.sign())) as response:
        assert await response.json() == {
            "access": "on",
            "id": "jwt:alice",
            "scopes": ["transcribe", "read"],
        }
    assert await door.status("GET", "/metrics", theirs.sign()) == 403
    assert await door.status("GET", "/metrics", theirs.sign(scope=["admin"])) == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example.com"},
        {"aud": "another service"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"nbf": 9_999_999_999},
    ],
)
async def test_claims(publisher: tuple[Publisher, str], claims: dict[str, object]) -> None:
    """A token for somebody else, of somebody else or out of its time is no good."""
    theirs, url = publisher
    issuer = Issuer(config(url))
    assert await issuer.check(theirs.sign()) is not None
    assert await issuer.check(theirs.sign(**claims)) is None


async def test_algorithms(publisher: tuple[Publisher, str]) -> None:
    """Only the algorithms that are set count, above all not the public key taken for a secret."""
    theirs, url = publisher
    issuer = Issuer(config(url))
    stranger = RSAKey.generate_key(2048, {"kid": "first"}, auto_kid=False)
    for token in (
        signed_with_what_is_public(theirs),
        theirs.sign(alg="PS256"),
        theirs.sign(stranger),
        theirs.sign().rpartition(".")[0] + ".",
        "no token",
    ):
        assert await issuer.check(token) is None


async def test_new_keys_are_fetched(
    publisher: tuple[Publisher, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key nobody knows yet is asked for, but not as often as strangers make up names of keys."""
    theirs, url = publisher
    issuer = Issuer(config(url))
    assert await issuer.check(theirs.sign()) is not None
    theirs.keys.append(ECKey.generate_key("P-256", {"kid": "second"}, auto_kid=False))
    assert await issuer.check(theirs.sign(alg="ES256")) is None
    for _ in range(20):
        await issuer.check(theirs.sign(alg="ES256"))
    assert theirs.fetched == 1
    monkeypatch.setattr(issuers, "PAUSE", 0.0)
    assert await issuer.check(theirs.sign(alg="ES256")) is not None
    assert theirs.fetched == 2


async def test_keys_that_come_in_pieces() -> None:
    """However slowly the keys come they are read to their end, but not more than a bound."""
    theirs = Publisher()
    published = json.dumps(KeySet(theirs.keys).as_dict(private=False)).encode()
    padding = b""

    async def show(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in (published[:100], published[100:], padding):
            await response.write(part)
            await asyncio.sleep(0.05)
        return response

    app = web.Application()
    app.router.add_get("/jwks.json", show)
    async with TestServer(app) as server:
        url = str(server.make_url("/jwks.json"))
        assert await Issuer(config(url)).check(theirs.sign()) is not None
        padding = b" " * issuers._MAX_BYTES
        assert await Issuer(config(url)).check(theirs.sign()) is None


async def test_an_issuer_that_is_down(publisher: tuple[Publisher, str]) -> None:
    """Without its keys nobody gets in with a token; with them, an outage goes unnoticed."""
    theirs, url = publisher
    known = Issuer(config(url))
    assert await known.check(theirs.sign()) is not None
    theirs.broken = True
    assert await known.check(theirs.sign()) is not None
    assert await Issuer(config(url)).check(theirs.sign()) is None
