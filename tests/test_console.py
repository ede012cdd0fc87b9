"""How the console is served: what may run, what may be kept, and what is vendored."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from sttgate.console import PAGES, routes

STATIC = files("sttgate.console") / "static"


@pytest.fixture
async def client(aiohttp_client: AiohttpClient) -> TestClient[web.Request, web.Application]:
    """A server that has nothing but the console."""
    app = web.Application()
    app.add_routes(routes())
    return await aiohttp_client(app)


@pytest.mark.parametrize("path", PAGES)
async def test_pages(client: TestClient[web.Request, web.Application], path: str) -> None:
    """Every page is the one document, asked for each time, with a policy that lets nothing foreign in."""
    async with client.get(path.format(id="some-id")) as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        headers = response.headers
        text = await response.text()
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "{" not in text
    assert not re.search(r"\sstyle=|\son\w+=|<style|javascript:|<script(?![^>]+src=)", text)


async def test_assets(client: TestClient[web.Request, web.Application]) -> None:
    """What the document asks for is there, and a browser may keep it for good."""
    async with client.get("/") as response:
        found = re.findall(r'(?:href|src)="(/console/[^"]+)"', await response.text())
    assert len(found) > 5
    for path in found:
        async with client.get(path) as response:
            assert response.status == 200, path
            assert "immutable" in response.headers["Cache-Control"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
            assert response.content_type == kinds[path.rpartition(".")[2]]


async def test_old_address(client: TestClient[web.Request, web.Application]) -> None:
    """A page from before an update still gets its files, but may not keep them."""
    async with client.get("/console/0123456789ab/live/worklet.js") as response:
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["nothing.js", "index.html", "../__init__.py", "%2e%2e/__init__.py", "vendor", "live/"]
)
async def test_no_such_asset(client: TestClient[web.Request, web.Application], name: str) -> None:
    """What is not one of the files is not there, whatever its name tries."""
    async with client.get("/console/v/" + name) as response:
        assert response.status == 404


def test_vendored() -> None:
    """What is vendored is what LOCK.json says, byte for byte, with the licence of each package."""
    vendor = STATIC / "vendor"
    lock = json.loads((vendor / "LOCK.json").read_text())
    for name, digest in lock["files"].items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest, name
    for package in lock["packages"]:
        assert package["license_file"] in lock["files"]
        assert package["license"] in ("MIT", "Apache-2.0")
        assert f"{package['name']} {package['version']}" in (vendor / "preact.js").read_text()
    there = {path.relative_to(str(vendor)).as_posix() for path in Path(str(vendor)).rglob("*.*")}
    assert there == {"LOCK.json", *lock["files"]}


def test_nothing_dangerous() -> None:
    """No module of ours makes markup of text, runs text, or speaks to anybody else."""
    banned = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|\beval\(|"
        r"new Function|srcdoc|https?://(?!www\.w3\.org/2000/svg)|\bstyle="
    )
    for path in Path(str(STATIC)).rglob("*"):
        if path.suffix in (".js", ".html", ".css", ".svg") and path.parent.name != "vendor":
            assert banned.search(path.read_text("utf-8")) is None, path
