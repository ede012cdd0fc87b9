"""The events of a live session, for anybody who wants to watch it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web
from pydantic import Field

from sttgate.access.gate import PRINCIPAL
from sttgate.access.principal import EVERYBODY
from sttgate.api.problems import not_found
from sttgate.api.routing import Answer, Operation, Query
from sttgate.api.streams import (
    EVENT_STREAM,
    EventStream,
    Watching,
    check_watchers,
    last_seen,
)
from sttgate.gateway import Gateway
from sttgate.session.session import Session


class EventsQuery(Query):
    """What a watcher wants to see."""

    from_seq: int = Field(0, ge=0, lt=2**53)
    """The first event to send, by its `seq`; 0 or 1 for all there were. The header `Last-Event-ID`, which browsers send when they come back, goes before it."""  # noqa: E501
    words: bool = False
    """Whether transcripts carry their words with times."""


class EventsApi:
    """Watching a session: each watcher is a cursor on the event log, as the client itself is."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def operations(self) -> Iterable[Operation]:
        """Return what can be asked here."""
        return [
            Operation(
                name="watchSession",
                method="GET",
                path="/sessions/{id}/events",
                handler=self.watch,
                scope="read",
                summary="Watch a session that runs",
                text="The events of the native protocol 2 (docs/protocol.md) as server-sent events: "
                "`id` is the `seq`, `event` the kind, `data` the event as JSON. A comment comes "
                "every 15 s. After `stopped` comes `end`, and nothing more. A client that falls "
                "behind misses interims first; one that reads nothing for 30 s is cut off.",
                query=EventsQuery,
                answers=(Answer(text="The events.", media=(EVENT_STREAM,)),),
                problems={
                    404: "There is no such session, or it does not run any more.",
                    429: "The session has as many watchers as it may have.",
                },
                head=False,
            )
        ]

    async def watch(self, request: web.Request, query: EventsQuery) -> web.StreamResponse:
        """Send the events of a session until it is over or the client leaves."""
        session = self._find(request)
        after = last_seen(request, max(0, query.from_seq - 1))
        check_watchers(session)
        stream, more = EventStream(request), asyncio.Event()
        watching = Watching(session, after, more, words=query.words)
        try:
            await stream.open()
            while not watching.over:
                more.clear()
                if batch := await watching.take():
                    await stream.send_entries(batch, words=query.words)
                elif not watching.over:
                    await stream.wait(more)
        finally:
            watching.close()
        await stream.send("end", "{}")
        return await stream.close()

    def _find(self, request: web.Request) -> Session:
        session = self._gateway.sessions.get(request.match_info["id"])
        principal = request.get(PRINCIPAL, EVERYBODY)
        if session is None or not principal.sees(session.params.owner):
            raise not_found("running session")
        return session
