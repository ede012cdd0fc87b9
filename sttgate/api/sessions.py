"""Stored sessions over HTTP: the conversation and its recording."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from aiohttp import web

from sttgate.gateway import Gateway
from sttgate.stores import Conversation

SESSION_PATH = "/api/v1/sessions/{id}"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class SessionsApi:
    """The routes that the ``links`` of ``stopped`` lead to."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """Return the routes to add to an application."""
        return [
            web.get(SESSION_PATH, self.show),
            web.get(f"{SESSION_PATH}/audio", self.audio),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Return the conversation as JSON."""
        conversation = await self._gateway.transcripts.get(_session_id(request))
        if conversation is None:
            raise _not_found()
        body = msgspec.json.encode(describe(conversation))
        return web.Response(body=body, content_type="application/json")

    async def audio(self, request: web.Request) -> web.StreamResponse:
        """Return the recording; ranges are served where the store has it as a local file."""
        session_id = _session_id(request)
        recording = await self._gateway.recordings.find(session_id)
        if recording is None:
            raise _not_found()
        if recording.path is not None:
            return web.FileResponse(recording.path, headers={"Content-Type": recording.media_type})
        response = web.StreamResponse()
        response.content_type = recording.media_type
        response.content_length = recording.size
        await response.prepare(request)
        async for block in self._gateway.recordings.read(session_id):
            await response.write(block)
        return response


def describe(conversation: Conversation) -> dict[str, object]:
    """Return a conversation as the API shows it: times are seconds, instants since the epoch."""
    session = conversation.session
    body: dict[str, object] = msgspec.to_builtins(session.start)
    del body["owner"]
    end = {} if session.end is None else msgspec.to_builtins(session.end)
    for key in ("provider", "model", "language", "metadata"):
        if end.get(key) is None:
            end.pop(key, None)
    return {
        "state": "active",
        **body,
        **end,
        "text": conversation.text,
        "utterances": msgspec.to_builtins(list(conversation.utterances)),
    }


def _session_id(request: web.Request) -> str:
    session_id = request.match_info["id"]
    if not _ID.fullmatch(session_id):
        raise _not_found()
    return session_id


def _not_found() -> web.HTTPNotFound:
    return web.HTTPNotFound(
        text='{"title":"There is no such session.","status":404}',
        content_type="application/problem+json",
    )
