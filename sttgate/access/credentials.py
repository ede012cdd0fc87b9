"""Where a request carries its key or token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aiohttp import web

_SCHEMES = ("bearer", "token")
_SUBPROTOCOL = "sttgate.bearer."
_LONGEST = 8192  # characters; a header line of aiohttp's is no longer either


class Credential(NamedTuple):
    """What was presented; from a URL, where it ends in logs, only a short-lived token counts."""

    secret: str
    in_url: bool = False


def presented(request: web.BaseRequest) -> Credential | None:
    """Return the key or token of a request, or None.

    In this order: ``Authorization: Bearer X`` (or ``Token X``, as Deepgram's clients send it), the
    WebSocket subprotocols ``bearer, X``, ``token, X`` or ``sttgate.bearer.X`` (all a browser can set),
    ``?token=X``.
    """
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() in _SCHEMES and secret.strip():
        return Credential(secret.strip()[:_LONGEST])
    offered = request.headers.getall("Sec-WebSocket-Protocol", [])
    if secret := _from_subprotocols(
        part.strip() for header in offered for part in header.split(",")
    ):
        return Credential(secret[:_LONGEST])
    if secret := request.query.get("token", ""):
        return Credential(secret[:_LONGEST], in_url=True)
    return None


def _from_subprotocols(offered: Iterable[str]) -> str:
    previous = ""
    for protocol in offered:
        if previous in _SCHEMES:
            return protocol
        if protocol.startswith(_SUBPROTOCOL):
            return protocol.removeprefix(_SUBPROTOCOL)
        previous = protocol.lower()
    return ""
