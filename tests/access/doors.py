"""A gateway that asks for keys, and what a client of it has to show."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp.test_utils import TestClient

from sttgate.access.gate import Gate
from sttgate.access.principal import Scope
from sttgate.gateway import Gateway
from sttgate.protocols.native import PATH

SPEAK: tuple[Scope, ...] = ("transcribe", "read")


@dataclass(frozen=True, slots=True)
class Door:
    """A server whose gate is closed."""

    gateway: Gateway
    gate: Gate
    client: TestClient[Any, Any]

    def key(self, *scopes: Scope, max_sessions: int | None = None) -> str:
        """Make a key and return it."""
        made = self.gate.keys.create("somebody", scopes or SPEAK, max_sessions=max_sessions)
        return made[1]

    def connect(self, query: str = "?protocol=2", **options: Any) -> Any:
        """Return a WebSocket to be entered."""
        return self.client.ws_connect(f"{PATH}{query}", **options)

    async def status(self, method: str, path: str, key: str | None = None, **options: Any) -> int:
        """Return the status of an answer."""
        headers = bearer(key) if key is not None else {}
        async with self.client.request(method, path, headers=headers, **options) as response:
            return response.status


OpenDoor = Callable[..., Awaitable[Door]]


def bearer(key: str) -> dict[str, str]:
    """Return the header that shows a key."""
    return {"Authorization": f"Bearer {key}"}
