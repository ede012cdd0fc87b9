"""Sessions over HTTP: list and search them, read one, change it, delete it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiohttp import web
from pydantic import Field

from sttgate.api.changes import SessionPatch
from sttgate.api.instants import Moment
from sttgate.api.models import Session, SessionList, SessionSummary
from sttgate.api.problems import ApiProblem, not_found
from sttgate.api.routing import Answer, Operation, Query, json_body
from sttgate.api.visible import VisibleSessions, principal_of
from sttgate.conversations import Part, delete
from sttgate.gateway import Gateway
from sttgate.stores import SessionQuery, SessionState

METADATA = "metadata."
"""What a parameter begins with that asks for a value of the metadata."""


class ListQuery(Query):
    """Which sessions to list; an empty value counts as none."""

    q: str | None = Field(None, max_length=1000)
    """Only sessions with an utterance that has all these words; words in double quotes stand next to
    each other, the last one may be the beginning of a longer one."""
    since: Moment | None = Field(None, alias="from")
    """Only sessions that began then or later."""
    until: Moment | None = Field(None, alias="to")
    """Only sessions that began before."""
    provider: str | None = Field(None, max_length=200)
    """Only sessions this provider heard last."""
    language: str | None = Field(None, max_length=200)
    """Only sessions in this language."""
    state: SessionState | None = None
    """Only sessions that stand like this."""
    metadata: dict[str, str] = Field(
        {},
        max_length=16,
        json_schema_extra={"propertyNames": {"pattern": r"^metadata\..+"}},
    )
    """`metadata.KEY=VALUE`: only sessions that have this text as a value of their metadata."""
    limit: int = Field(50, ge=1, le=200)
    """How many of them."""
    cursor: str | None = Field(None, max_length=1000)
    """The `next_cursor` of the page before; with it, the other parameters stay the same."""

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> Any:
        """Gather the parameters that begin with ``metadata.``."""
        values: dict[str, Any] = {}
        metadata: dict[str, str] = {}
        for name, value in parameters.items():
            if name.startswith(METADATA) and len(name) > len(METADATA):
                metadata[name.removeprefix(METADATA)] = value
            elif name == "metadata":
                values["metadata"] = value  # which it cannot be: a 400 will say so
            elif value:
                values[name] = value
        return {"metadata": metadata} | values


class DeleteQuery(Query):
    """What to delete of a session."""

    only: Part | None = None
    """Only what was said, or only the audio; the session itself stays."""


class SessionsApi:
    """The operations on sessions."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._visible = VisibleSessions(gateway)

    def operations(self) -> Iterable[Operation]:
        """Return the operations."""
        return [
            Operation(
                name="listSessions",
                method="GET",
                path="/sessions",
                handler=self.list_sessions,
                scope="read",
                summary="List and search sessions",
                text="Newest first. A key sees its own sessions, one with `admin` those of all.",
                query=ListQuery,
                answers=(Answer(text="A page of sessions.", model=SessionList),),
            ),
            Operation(
                name="getSession",
                method="GET",
                path="/sessions/{id}",
                handler=self.show,
                scope="read",
                summary="Read a session",
                answers=(Answer(text="The session and what was said.", model=Session),),
            ),
            Operation(
                name="changeSession",
                method="PATCH",
                path="/sessions/{id}",
                handler=self.change,
                scope="transcribe",
                summary="Change title, names of speakers and metadata",
                body=SessionPatch,
                answers=(Answer(text="The session as it is now.", model=SessionSummary),),
            ),
            Operation(
                name="deleteSession",
                method="DELETE",
                path="/sessions/{id}",
                handler=self.delete,
                scope="delete",
                summary="Delete a session",
                text="What was said is gone from the search at once. What was used is still counted.",
                query=DeleteQuery,
                answers=(Answer(text="It is gone.", status=204),),
                problems={409: "The session still runs, or is not stored yet."},
            ),
        ]

    async def list_sessions(self, request: web.Request, query: ListQuery) -> SessionList:
        """Return a page of the sessions that the one who asks may see."""
        page = await self._gateway.transcripts.list(
            SessionQuery(
                limit=query.limit,
                cursor=query.cursor,
                text=query.q,
                since=query.since,
                until=query.until,
                provider=query.provider,
                language=query.language,
                state=query.state,
                owner=principal_of(request).owner,
                metadata=dict(query.metadata),
            )
        )
        live = await self._visible.live(page.sessions)
        return SessionList(
            sessions=[
                SessionSummary.of(
                    session,
                    live=session.start.id in live,
                    searched=query.q is not None,
                )
                for session in page.sessions
            ],
            next_cursor=page.cursor,
        )

    async def show(self, request: web.Request) -> web.Response:
        """Return a session with all that was said."""
        conversation = await self._visible.conversation(request)
        live = self._visible.is_live(conversation.session.start.id)
        # Some ten thousand words are some tenths of a second that others need not wait for.
        return json_body(
            await asyncio.to_thread(
                lambda: Session.of(conversation, live=live).model_dump_json().encode()
            )
        )

    async def change(self, request: web.Request, body: SessionPatch) -> SessionSummary:
        """Change a session; what it is called while it runs is kept when it ends."""
        session = await self._visible.stored(request)
        session_id = session.start.id
        if not await self._gateway.transcripts.update(session_id, body.change_of(session)):
            raise not_found()
        if (running := self._gateway.sessions.get(session_id)) is not None:
            running.change_metadata(body.metadata)  # or its end would bring back what was
        changed = await self._visible.stored(request)
        return SessionSummary.of(changed, live=self._visible.is_live(session_id))

    async def delete(self, request: web.Request, query: DeleteQuery) -> web.Response:
        """Delete a session, or a part of it, unless more of it is to come."""
        session_id = request.match_info["id"]
        await self._visible.find(request)
        if await asyncio.to_thread(self._gateway.holds, session_id):
            raise ApiProblem(
                409, "The session still runs, or is not stored yet; try again once it has ended."
            )
        gateway = self._gateway
        if not await delete(gateway.transcripts, gateway.recordings, session_id, query.only):
            raise not_found()
        return web.Response(status=204)
