"""Recordings and files made of sessions over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Literal

from aiohttp import hdrs, web
from pydantic import Field

from sttgate.api.downloads import attachment
from sttgate.api.peaks import PeakReader, Peaks
from sttgate.api.problems import not_found
from sttgate.api.ranges import Version, byte_range
from sttgate.api.routing import Answer, Operation, Query, json_body
from sttgate.api.visible import VisibleSessions
from sttgate.errors import StoreError
from sttgate.exports import FORMATS, export
from sttgate.gateway import Gateway
from sttgate.stores import Recording, StoredSession

WRITE_TIMEOUT = 60.0  # seconds a client may take for the next 64 KiB
_PRIVATE = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}


class AudioQuery(Query):
    """How the recording is sent."""

    download: bool = False
    """As a file to save, not to play."""


class PeaksQuery(Query):
    """How fine the outline is."""

    n: int = Field(1000, ge=10, le=10_000)
    """The number of pieces."""


class ExportQuery(Query):
    """Which file to make of a session."""

    format: Literal["txt", "srt", "vtt", "json"] = "txt"
    """Text, subtitles (SubRip, WebVTT) or JSON."""


class RecordingsApi:
    """The operations that give files."""

    def __init__(self, gateway: Gateway) -> None:
        self._recordings = gateway.recordings
        self._visible = VisibleSessions(gateway)
        self._peaks = PeakReader(gateway.recordings)

    def operations(self) -> Iterable[Operation]:
        """Return the operations."""
        version = {"ETag": "The version of the recording.", "Accept-Ranges": "`bytes`."}
        return [
            Operation(
                name="getAudio",
                method="GET",
                path="/sessions/{id}/audio",
                handler=self.audio,
                scope="read",
                summary="Get the recording",
                text="`Range`, `If-Range`, `If-None-Match` and `If-Modified-Since` are understood.",
                query=AudioQuery,
                answers=(
                    Answer(text="The recording.", media=("audio/wav",), headers=version),
                    Answer(
                        text="The part that was asked for.",
                        status=206,
                        media=("audio/wav",),
                        headers={**version, "Content-Range": "Which bytes of how many."},
                    ),
                    Answer(text="You have it already.", status=304),
                ),
                problems={416: "The range lies outside of the recording."},
            ),
            Operation(
                name="getPeaks",
                method="GET",
                path="/sessions/{id}/peaks",
                handler=self.peaks,
                scope="read",
                summary="Get the outline of the recording",
                query=PeaksQuery,
                answers=(Answer(text="The outline.", model=Peaks),),
            ),
            Operation(
                name="exportSession",
                method="GET",
                path="/sessions/{id}/export",
                handler=self.export,
                scope="read",
                summary="Get the session as a file",
                query=ExportQuery,
                answers=(
                    Answer(
                        text="The file, in UTF-8.",
                        media=tuple(known.media_type for known in FORMATS.values()),
                        headers={"Content-Disposition": "The name of the file."},
                    ),
                ),
            ),
        ]

    async def audio(self, request: web.Request, query: AudioQuery) -> web.StreamResponse:
        """Send a recording, or a part of it."""
        session, recording = await self._find(request)
        end = session.end if session is not None else None
        version = Version(
            etag=f'"{recording.session_id}-{recording.size:x}"',  # a recording is never rewritten
            modified_at=int(end.ended_at) if end is not None else None,
        )
        headers = {**_PRIVATE, **version.headers, "Accept-Ranges": "bytes"}
        if version.is_known(request.headers):
            return web.Response(status=304, headers=headers)
        part = None
        if version.continues(request.headers):
            part = byte_range(request.headers.get(hdrs.RANGE), recording.size)
        response = web.StreamResponse(headers=headers)
        response.content_type = recording.media_type
        if query.download:
            response.headers[hdrs.CONTENT_DISPOSITION] = attachment(
                recording.session_id, session, ".wav"
            )
        if part is not None:
            response.set_status(206)
            response.headers[hdrs.CONTENT_RANGE] = (
                f"bytes {part.start}-{part.stop - 1}/{recording.size}"
            )
        await self._send(request, response, recording, part or range(recording.size))
        return response

    async def peaks(self, request: web.Request, query: PeaksQuery) -> web.Response:
        """Return the outline of a recording."""
        _, recording = await self._find(request)
        return json_body(await self._peaks.read(recording, query.n))

    async def export(self, request: web.Request, query: ExportQuery) -> web.Response:
        """Return a session as a file."""
        conversation = await self._visible.conversation(request)
        session = conversation.session
        made = await asyncio.to_thread(export, conversation, query.format)
        name = attachment(session.start.id, session, made.suffix)
        return web.Response(
            body=made.text.encode("utf-8", "replace"),
            headers={**_PRIVATE, hdrs.CONTENT_DISPOSITION: name},
            content_type=made.media_type,
            charset="utf-8",
        )

    async def _find(self, request: web.Request) -> tuple[StoredSession | None, Recording]:
        session = await self._visible.find(request)
        recording = await self._recordings.find(request.match_info["id"])
        if recording is None:
            raise not_found("recording")
        return session, recording

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        recording: Recording,
        part: range,
    ) -> None:
        """Send the bytes of ``part``; a store that fails before the first one is a problem as usual."""
        response.content_length = len(part)
        if request.method == hdrs.METH_HEAD:
            await response.prepare(request)
            return
        sent = 0
        async with _closing(
            self._recordings.read(recording.session_id, part.start, part.stop)
        ) as blocks:
            block = await anext(blocks, b"")
            await response.prepare(request)
            while block:
                await _write(request, response, block)
                sent += len(block)
                block = await anext(blocks, b"")
        if sent < len(part):
            raise StoreError(f"the recording of session {recording.session_id} ends too early")


async def _write(request: web.Request, response: web.StreamResponse, block: bytes) -> None:
    """Send more; ConnectionResetError for a client that takes nothing any more."""
    try:
        async with asyncio.timeout(WRITE_TIMEOUT):
            await response.write(block)
    except TimeoutError as error:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("the client does not read") from error


@asynccontextmanager
async def _closing(blocks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Close the file behind ``blocks``, if that is a generator, when they are not wanted any more."""
    try:
        yield blocks
    finally:
        if isinstance(blocks, AsyncGenerator):
            await blocks.aclose()
