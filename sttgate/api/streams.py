"""Server-sent events: an answer that goes on until its source ends or the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import structlog
from aiohttp import hdrs, web

from sttgate.api.problems import ApiProblem
from sttgate.session.entries import AnyEntry, Stopped
from sttgate.session.event_log import EventReader, EventsGone
from sttgate.session.rendering import render_for_watchers
from sttgate.session.session import Session

log = structlog.get_logger(__name__)

EVENT_STREAM = "text/event-stream"
HEARTBEAT = 15.0  # seconds between two signs of life; proxies cut what is silent for a minute
WRITE_TIMEOUT = 30.0  # seconds a client may leave what it is sent unread; then it is cut off
MAX_WATCHERS = 100  # of one session


class EventStream:
    """The answer to one request. A client that leaves is a ConnectionError of whatever is sent next."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response = web.StreamResponse(
            headers={
                "Content-Type": EVENT_STREAM,
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # nginx would keep events until it has 8 KiB of them
            }
        )

    async def open(self) -> None:
        """Send the headers."""
        await self._response.prepare(self._request)
        await self._write(":\n\n")  # aiohttp keeps headers back until there is a body

    async def send(self, event: str, data: str) -> None:
        """Send one event that has no number; ``data`` is JSON."""
        await self._write(f"event: {event}\ndata: {data}\n\n")

    async def send_entries(self, entries: Iterable[AnyEntry], *, words: bool) -> None:
        """Send entries of a session's log, each with its ``seq`` as its id."""
        for entry in entries:
            data = render_for_watchers(entry, words=words)
            kind = entry.__struct_config__.tag
            await self._write(f"id: {entry.seq}\nevent: {kind}\ndata: {data}\n\n")

    async def wait(self, more: asyncio.Event, timeout: float | None = None) -> None:
        """Wait for ``more``, at most ``timeout`` seconds, and show now and then that somebody is here."""
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        while not more.is_set() and (end is None or loop.time() < end):
            beat = loop.time() + HEARTBEAT
            try:
                async with asyncio.timeout_at(beat if end is None else min(beat, end)):
                    await more.wait()
            except TimeoutError:
                if end is None or beat < end:
                    await self._write(":\n\n")

    async def close(self) -> web.StreamResponse:
        """End the answer."""
        async with self._deadline():
            await self._response.write_eof()
        return self._response

    async def _write(self, text: str) -> None:
        async with self._deadline():
            await self._response.write(text.encode())

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                yield
        except TimeoutError:
            log.warning("watcher_does_not_read")
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the client does not read") from None


class Watching:
    """A cursor on the events of a live session, for somebody who only watches.

    ``more`` is set when there may be something to take.
    """

    def __init__(self, session: Session, after: int, more: asyncio.Event, *, words: bool) -> None:
        self._log = session.events
        self._more = more
        self._reader: EventReader = session.events.reader(
            min(after, session.events.last_seq), more.set, watching=True, words=words
        )
        self.over = False

    async def take(self) -> list[AnyEntry]:
        """Return what is new; empty when there is nothing yet, or nothing more, if ``over``.

        ConnectionError for one so far behind that the session could not wait for it.
        """
        ended = self._log.ended
        try:
            batch = await self._reader.take()
        except EventsGone as error:
            raise ConnectionResetError("too far behind") from error
        self.over = isinstance(batch[-1], Stopped) if batch else ended
        return batch

    def close(self) -> None:
        """Watch no longer."""
        self._reader.close()


def last_seen(request: web.Request, otherwise: int) -> int:
    """Return the ``seq`` after which a client that came back wants to go on; ApiProblem 400."""
    value = request.headers.get(hdrs.LAST_EVENT_ID, "")
    if not value:
        return otherwise
    if not (value.isascii() and value.isdigit() and len(value) < 16):
        raise ApiProblem(400, "The header Last-Event-ID is no number that was an event's id here.")
    return int(value)


def check_watchers(session: Session) -> None:
    """Raise ApiProblem when a session has as many watchers as it may have."""
    if session.events.watchers >= MAX_WATCHERS:
        raise ApiProblem(
            429, "This session has as many watchers as it may have.", headers={"Retry-After": "5"}
        )
