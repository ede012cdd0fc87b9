"""Which sessions there are for the one who asks: for anybody else's, the answer is that there is none."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aiohttp import web

from sttgate.access.gate import PRINCIPAL
from sttgate.access.principal import EVERYBODY, Principal
from sttgate.api.problems import not_found
from sttgate.gateway import Gateway
from sttgate.session.states import MOVES
from sttgate.stores import Conversation, StoredSession


def principal_of(request: web.Request) -> Principal:
    """Return who makes a request."""
    principal: Principal = request.get(PRINCIPAL, EVERYBODY)
    return principal


class VisibleSessions:
    """Finds the session that the address of a request names by ``id``."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def is_live(self, session_id: str) -> bool:
        """Whether a session of this process still runs."""
        session = self._gateway.sessions.get(session_id)
        return session is not None and session.state in MOVES

    async def live(self, sessions: Sequence[StoredSession]) -> Collection[str]:
        """Return the ids of those that still run, in this process or in another worker's."""
        names = [session.start.id for session in sessions if session.end is None]
        elsewhere = await self._gateway.peers.running(names) if names else ()
        return {
            *(session.start.id for session in sessions if self.is_live(session.start.id)),
            *elsewhere,
        }

    async def find(self, request: web.Request) -> StoredSession | None:
        """Return what is stored of the session, None if nothing is; 404 if it is somebody else's.

        Without a transcript a recording has no owner: it is there for those who see everything.
        """
        session_id = request.match_info["id"]
        stored = await self._gateway.transcripts.find(session_id)
        running = self._gateway.sessions.get(session_id)
        if stored is not None:
            owner = stored.start.owner
        else:
            owner = running.params.owner if running is not None else None
        if not principal_of(request).sees(owner):
            raise not_found()
        return stored

    async def stored(self, request: web.Request) -> StoredSession:
        """Return what is stored of the session; 404 if nothing is, or if it is somebody else's."""
        if (session := await self.find(request)) is None:
            raise not_found()
        return session

    async def conversation(self, request: web.Request) -> Conversation:
        """Return the session with all that was said; 404 as ``stored``."""
        conversation = await self._gateway.transcripts.get(request.match_info["id"])
        if conversation is None or not principal_of(request).sees(conversation.session.start.owner):
            raise not_found()
        return conversation
