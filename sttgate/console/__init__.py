"""The web console at ``/``: static pages, served from memory under a strict policy.

The pages are plain ES modules in ``static/``; there is no build step, what lies there is what runs.
All of them are the one document ``index.html``; which page it shows is told by the address. The
other files have the digest of all of them in their address, so a browser may keep them for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

ASSETS = "/console"
PAGES = ("/", "/upload", "/sessions", "/sessions/{id}", "/status", "/help")
"""The addresses of pages; the router in ``static/pages.js`` has the same."""

_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "json": "application/json",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob:",
        "worker-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PAGE = _COMMON | {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",
}
_FOR_GOOD = "public, max-age=31536000, immutable"


def routes() -> list[web.RouteDef]:
    """Return the routes of the console to add to an application."""
    return _Console(_read(files(__package__) / "static")).routes()


def _read(folder: Traversable, prefix: str = "") -> dict[str, bytes]:
    """Return the content of every file below ``folder``, by its path there."""
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _read(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            found[prefix + entry.name] = entry.read_bytes()
    return found


class _Console:
    """The files, and the one document that leads to them."""

    def __init__(self, content: Mapping[str, bytes]) -> None:
        digest = hashlib.sha256()
        for name, body in sorted(content.items()):
            digest.update(f"{name}\0{len(body)}\0".encode() + body)
        self._version = digest.hexdigest()[:12]
        self._content = {name: body for name, body in content.items() if name != "index.html"}
        assets = f"{ASSETS}/{self._version}"
        self._page = content["index.html"].replace(b"{assets}", assets.encode())

    def routes(self) -> list[web.RouteDef]:
        """Return a route for every page, and one for the files."""
        return [*self._pages(), web.get(f"{ASSETS}/{{version}}/{{name:.+}}", self._asset)]

    def _pages(self) -> Iterator[web.RouteDef]:
        for path in PAGES:
            yield web.get(path, self._index)

    async def _index(self, request: web.Request) -> web.Response:
        return web.Response(
            body=self._page, content_type="text/html", charset="utf-8", headers=_PAGE
        )

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        body = self._content.get(name)
        if body is None:
            raise web.HTTPNotFound(headers=_COMMON)
        # A page that was open during an update asks by its old address for what it still needs.
        current = request.match_info["version"] == self._version
        return web.Response(
            body=body,
            content_type=_TYPES[name.rpartition(".")[2]],
            charset="utf-8",
            headers=_COMMON | {"Cache-Control": _FOR_GOOD if current else "no-cache"},
        )
