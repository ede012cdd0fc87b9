"""A client of server-sent events that reads as little or as much as a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse

from tests.functional.native import Server


@dataclass(frozen=True, slots=True)
class Sent:
    """One event as it came; ``raw`` is the text of its data."""

    event: str
    raw: str
    id: str | None

    @property
    def data(self) -> Any:
        """The data, decoded."""
        return json.loads(self.raw)


class Listener:
    """Reads the events of an answer; counts comments, which are signs of life."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response
        self.comments = 0

    async def read(self, timeout: float = 20.0) -> Sent | None:
        """Return the next event, None at the end of the answer."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(timeout):
            while line := (await self.response.content.readline()).decode():
                name, _, value = line.rstrip("\n").partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
                elif value or line.startswith(":"):
                    self.comments += 1
                elif fields:
                    return Sent(fields["event"], fields["data"], fields.get("id"))
        assert not fields, f"the answer broke off: {fields}"
        return None

    async def until(self, event: str, timeout: float = 20.0) -> list[Sent]:
        """Return the events up to and including the first of this kind."""
        seen: list[Sent] = []
        while not seen or seen[-1].event != event:
            sent = await self.read(timeout)
            assert sent is not None, f"ended without {event}: {[each.event for each in seen]}"
            seen.append(sent)
        return seen


@asynccontextmanager
async def listen(server: Server, path: str, **options: Any) -> AsyncIterator[Listener]:
    """Ask for events below ``/api/v1``."""
    async with server.client.get(f"/api/v1{path}", **options) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        yield Listener(response)
