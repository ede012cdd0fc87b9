"""Which pages may use the gateway."""

from __future__ import annotations

import pytest
from aiohttp import WSServerHandshakeError

from sttgate.operations.origins import origin_allowed
from sttgate.protocols.native import PATH
from tests.access.doors import OpenDoor

APP = "https://app.example.com"
LISTED = (APP, "http://other.example.com:8080/")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("http://gate.example.com", True),
        ("https://GATE.example.com", True),
        ("http://localhost:5173", True),
        ("http://127.0.0.1:9", True),
        ("http://[::1]:9", True),
        (APP, True),
        ("https://APP.example.com", True),
        ("http://other.example.com:8080", True),
        ("http://app.example.com", False),
        ("https://app.example.com:444", False),
        ("https://app.example.com.evil.com", False),
        ("https://evil.com", False),
        ("http://gate.example.com:81", False),
        ("http://localhost.evil.com", False),
        ("null", False),
        ("", False),
        ("file://", False),
        ("http://[", False),
        ("javascript://localhost", False),
    ],
)
def test_origins(origin: str | None, allowed: bool) -> None:
    """The same host, this machine and listed pages may; scheme, name and port all count."""
    assert origin_allowed(origin, "gate.example.com", LISTED) is allowed


async def test_a_page_from_elsewhere(open_door: OpenDoor) -> None:
    """A page that is not listed is refused before anything else is looked at, key or not."""
    door = await open_door({"origins": [APP]})
    headers = {"Origin": "https://evil.com", "Authorization": f"Bearer {door.key()}"}
    with pytest.raises(WSServerHandshakeError) as refusal:
        await door.client.ws_connect(PATH, headers=headers)
    assert refusal.value.status == 403
    async with door.client.get("/api/v1/me", headers=headers) as response:
        assert response.status == 403
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_listed_page_reads_answers(open_door: OpenDoor) -> None:
    """A listed page may read answers, also errors, and ask before what needs asking."""
    door = await open_door({"origins": [APP]})
    headers = {"Origin": APP}
    async with door.client.get("/api/v1/me", headers=headers) as response:
        assert response.status == 401
        assert response.headers["Access-Control-Allow-Origin"] == APP
        assert response.headers["Vary"] == "Origin"
    asking = headers | {"Access-Control-Request-Method": "DELETE"}
    async with door.client.options("/api/v1/sessions/1", headers=asking) as response:
        assert response.status == 204
        assert "DELETE" in response.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in response.headers
    async with door.connect(headers=headers | {"Authorization": f"Bearer {door.key()}"}):
        pass


async def test_nobody_else_reads_answers(open_door: OpenDoor) -> None:
    """Pages of this machine may connect, but read no answers unless they are listed."""
    door = await open_door()
    headers = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "DELETE"}
    async with door.client.options("/api/v1/me", headers=headers) as response:
        assert response.status == 405
    async with door.client.get("/api/v1/me", headers=headers) as response:
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_every_address(open_door: OpenDoor) -> None:
    """The rules hold for every address: who may ask, who may read, and nobody with a cookie.

    Rows are where a page is from; columns, whether it may ask and whether it may read what the API
    answers. Nothing is ever shared with all pages, or with what a browser remembers.
    """
    door = await open_door({"origins": [APP]})
    async with door.client.get("/api/v1/openapi.json") as response:
        document = await response.json()
    addresses = [
        (method.upper(), path.replace("{id}", "a-session"))
        for path, methods in document["paths"].items()
        for method in methods
    ]
    addresses = [(method, f"/api/v1{path.removeprefix('/api/v1')}") for method, path in addresses]
    assert len(addresses) > 15
    addresses += [("GET", path) for path in ("/", "/livez", "/metrics", PATH, "/api/v1/nothing")]
    for origin, may_ask, may_read in (
        (None, True, False),
        (f"http://127.0.0.1:{door.client.port}", True, False),
        ("http://localhost:5173", True, False),
        (APP, True, True),
        ("https://evil.example.com", False, False),
        (f"{APP}.evil.example.com", False, False),
        ("null", False, False),
    ):
        headers = {"Origin": origin} if origin is not None else {}
        for method, path in addresses:
            of_api = path.startswith("/api/")
            where = (origin, method, path)
            async with door.client.request(method, path, headers=headers) as response:
                assert (response.status != 403) is may_ask, where
                shared = response.headers.get("Access-Control-Allow-Origin")
                assert shared == (origin if may_read and of_api else None), where
                assert "Access-Control-Allow-Credentials" not in response.headers, where
                assert "Set-Cookie" not in response.headers, where
            asking = headers | {"Access-Control-Request-Method": method}
            async with door.client.options(path, headers=asking) as response:
                assert (response.status == 204) is (may_read and of_api), where
                shared = response.headers.get("Access-Control-Allow-Origin")
                assert shared == (origin if may_read and of_api else None), where
