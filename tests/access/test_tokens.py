"""Short-lived tokens for pages that must not hold a key."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError
from joserfc import jwt
from joserfc.jwk import OctKey
from structlog.testing import capture_logs

from sttgate.access.principal import Principal
from sttgate.access.tokens import ISSUER, SecretError, Tokens, load_secret
from sttgate.protocols.native import PATH
from tests.access.doors import Door, OpenDoor, bearer
from tests.archive import keep

TOKENS = "/api/v1/tokens"
SECRET = b"0123456789abcdef0123456789abcdef"
ME = Principal(id="me", scopes=frozenset(["transcribe", "read"]), key_id="me", max_sessions=2)


async def mint(door: Door, key: str, **body: Any) -> Any:
    """Have a token made."""
    async with door.client.post(TOKENS, headers=bearer(key), json=body) as response:
        assert response.status == 201, await response.text()
        return await response.json()


async def test_a_token_opens_one_session(open_door: OpenDoor) -> None:
    """A token in the URL opens a WebSocket, once."""
    door = await open_door()
    made = await mint(door, door.key())
    assert made["scopes"] == ["transcribe"]
    query = f"?protocol=2&token={made['token']}"
    async with door.connect(query) as socket:
        assert (await socket.receive_json())["auth"] is True
    with pytest.raises(WSServerHandshakeError) as refusal:
        await door.client.ws_connect(f"{PATH}{query}")
    assert refusal.value.status == 401


async def test_a_token_allows_no_more_than_its_key(open_door: OpenDoor) -> None:
    """Scopes that the key lacks are left out, and a token of none is not made."""
    door = await open_door()
    key = door.key("read")
    made = await mint(door, key, scopes=["read", "delete", "admin"])
    assert made["scopes"] == ["read"]
    assert await door.status("POST", TOKENS, key, json={"scopes": ["delete"]}) == 403
    assert await door.status("POST", TOKENS, made["token"], json={"scopes": ["read"]}) == 403


async def test_a_token_for_one_session(open_door: OpenDoor, tmp_path: Path) -> None:
    """A token for a session is good for nothing else; a key that sees all can make one for anybody's."""
    door = await open_door()
    admin, key = door.key("admin"), door.key("read")
    async with door.client.get("/api/v1/me", headers=bearer(key)) as response:
        owner = (await response.json())["id"]
    for session_id, of in (("one", owner), ("two", owner), ("three", "somebody")):
        await keep(door.gateway, tmp_path, session_id, owner=of)

    async def sees(token: str) -> list[int]:
        paths = ("/one/audio", "/two/audio", "/three/audio", "")
        return [await door.status("GET", f"/api/v1/sessions{path}?token={token}") for path in paths]

    made = await mint(door, key, scopes=["read"], session="one")
    assert await sees(made["token"]) == [200, 403, 403, 403]
    made = await mint(door, key, scopes=["read"], session="three")
    assert await sees(made["token"]) == [403, 403, 404, 403]
    made = await mint(door, admin, scopes=["read"], session="three")
    assert await sees(made["token"]) == [403, 403, 200, 403]
    deleting = f"/api/v1/sessions/three?token={made['token']}"
    assert await door.status("DELETE", deleting) == 403
    made = await mint(door, admin, scopes=["read"])
    assert await sees(made["token"]) == [404, 404, 404, 200]
    made = await mint(door, door.key(), session="one")
    with pytest.raises(WSServerHandshakeError) as refusal:
        await door.client.ws_connect(f"{PATH}?token={made['token']}")
    assert refusal.value.status == 403


@pytest.mark.parametrize(
    "body",
    [
        {"ttl_seconds": 0},
        {"ttl_seconds": 3601},
        {"scopes": []},
        {"scopes": ["all"]},
        {"session": "../x"},
        {"a": 1},
    ],
)
async def test_what_cannot_be_asked_for(open_door: OpenDoor, body: dict[str, object]) -> None:
    """A token that could not be is told as what it is, a problem with the body."""
    door = await open_door()
    async with door.client.post(TOKENS, headers=bearer(door.key()), json=body) as response:
        assert response.status == 400
        assert response.content_type == "application/problem+json"
        assert (await response.json())["errors"]


async def test_revoking_a_key_ends_its_tokens(open_door: OpenDoor) -> None:
    """What was made with a key is good as long as the key."""
    door = await open_door()
    key, presented = door.gate.keys.create("me", ["admin"])
    made = await mint(door, presented, scopes=["admin"], ttl_seconds=60)
    assert await door.status("GET", "/metrics", made["token"]) == 200
    door.gate.keys.revoke(key.id)
    assert await door.status("GET", "/metrics", made["token"]) == 401


async def test_who_am_i(open_door: OpenDoor) -> None:
    """A page can ask what its key is good for."""
    door = await open_door()
    key, presented = door.gate.keys.create("me", ["read", "delete"])
    async with door.client.get("/api/v1/me", headers=bearer(presented)) as response:
        assert await response.json() == {
            "access": "on",
            "id": key.id,
            "scopes": ["read", "delete"],
        }
    async with door.client.get("/api/v1/me") as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await response.json())["code"] == "unauthorized"


def _forged(header: dict[str, str], key: bytes, **claims: object) -> str:
    usual = {"iss": ISSUER, "sub": "me", "exp": int(time.time()) + 60, "jti": "1", "scope": "admin"}
    return jwt.encode(header, usual | claims, OctKey.import_key(key))


class TestChecking:
    """What is a token, and what only looks like one."""

    async def test_what_it_carries(self) -> None:
        """A token stands for its key: owner, scopes, limit; not longer than the key itself."""
        tokens = Tokens(SECRET)
        token, expires_at = tokens.mint(ME, frozenset(["transcribe", "admin"]), 30)
        principal = await tokens.check(token, use=False)
        assert principal is not None
        assert (principal.id, principal.key_id, principal.max_sessions) == ("me", "me", 2)
        assert principal.scopes == {"transcribe"}
        assert principal.is_token
        assert expires_at <= time.time() + 30
        soon = Principal(id="me", scopes=frozenset(["read"]), expires_at=time.time() + 5)
        assert tokens.mint(soon, soon.scopes, 60)[1] <= time.time() + 5

    @pytest.mark.parametrize(
        "claims",
        [
            {"exp": 1},
            {"exp": "never"},
            {"exp": None},
            {"iss": "other"},
            {"jti": None},
            {"sub": None},
        ],
    )
    async def test_claims(self, claims: dict[str, object]) -> None:
        """A token that is over, of another issuer or without a claim it needs is no good."""
        good = _forged({"alg": "HS256"}, SECRET)
        assert await Tokens(SECRET).check(good, use=False) is not None
        assert (
            await Tokens(SECRET).check(_forged({"alg": "HS256"}, SECRET, **claims), use=False)
            is None
        )

    async def test_signatures(self) -> None:
        """Another secret, another algorithm, none, and a changed token are no good."""
        tokens = Tokens(SECRET)
        good = _forged({"alg": "HS256"}, SECRET)
        head, body, signature = good.split(".")
        unsigned = "eyJhbGciOiJub25lIn0"
        for wrong in (
            _forged({"alg": "HS256"}, SECRET[::-1]),
            f"{unsigned}.{body}.",
            f"{head}.{body[:-2]}.{signature}",
            f"{head}.{body}",
            "..",
            "",
            "ä.ö.ü",
            good[:-1] + ("A" if good[-1] != "A" else "B"),
        ):
            assert await tokens.check(wrong, use=False) is None

    async def test_instances_that_share_the_secret(self, tmp_path: Path) -> None:
        """The secret is made once, for its owner only; who shares it takes each other's tokens."""
        path = tmp_path / "data" / "secret"
        secret = load_secret(path)
        assert load_secret(path) == secret
        assert path.stat().st_mode & 0o077 == 0
        token, _ = Tokens(secret).mint(ME, ME.scopes, 30)
        assert await Tokens(load_secret(path)).check(token, use=True) is not None

    @pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
    def test_a_secret_that_is_none_any_more(self, tmp_path: Path) -> None:
        """A secret that others can write is refused; one they can read is worth a warning."""
        path = tmp_path / "secret"
        secret = load_secret(path)
        path.chmod(0o644)
        with capture_logs() as logged:
            assert load_secret(path) == secret
        assert [entry["cure"] for entry in logged] == [f"chmod 600 {path}"]
        path.chmod(0o602)
        with pytest.raises(SecretError, match="a new one is made"):
            load_secret(path)

    def test_a_secret_that_is_none(self, tmp_path: Path) -> None:
        """A secret that could be guessed is refused with what to do."""
        path = tmp_path / "secret"
        path.write_text("short")
        with pytest.raises(SecretError, match="too short"):
            load_secret(path)
        with pytest.raises(SecretError, match=r"access\.secret"):
            load_secret(path / "below")
