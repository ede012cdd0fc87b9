"""One native client: a reader that never waits for a provider, a writer that follows the events."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from sttgate.admission import Caller, Pace
from sttgate.errors import ErrorCode, RequestError
from sttgate.gateway import Gateway
from sttgate.protocols.native import requests
from sttgate.protocols.native.relay import Relay
from sttgate.protocols.native.replies import render_base, render_message
from sttgate.session import entries
from sttgate.session.entries import StopReason
from sttgate.session.event_log import EventReader
from sttgate.session.rendering import render
from sttgate.session.session import Session

log = structlog.get_logger(__name__)

_WRITE_TIMEOUT = 5.0  # seconds a client may leave what it is sent unread; then it is cut off
_SHORT = 16 * 1024  # characters; they fit into an empty buffer of asyncio, whatever they are
_CLOSE_TIMEOUT = 2.0
_UNAUTHORIZED = 4401
_UNKNOWN_SESSION = 4404
_NEVER_STARTED = 4408
_TAKEN_OVER = 4409
_OVER = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)
_MAX_REPLIES = 64  # a client that floods us with questions and reads no answer loses answers


class NativeConnection:
    """A WebSocket that speaks protocol 1, or 2 once the client opts in; several sessions in a row.

    ``relay`` is set once the client has resumed a session that another worker has: ``run`` ends, and the
    socket stays open for the relay.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        request: web.BaseRequest,
        gateway: Gateway,
        caller: Caller,
        protocol: int,
        max_message_bytes: int,
    ) -> None:
        self.relay: Relay | None = None
        self._socket = socket
        self._request = request
        self._transport = request.transport
        self.caller = caller
        self._gateway = gateway
        self._protocol = protocol
        self._max_message_bytes = max_message_bytes
        self._next_id = str(uuid.uuid4())
        self._session: Session | None = None
        self._reader: EventReader | None = None
        self._words = False
        self._pace: Pace | None = None
        self._entered_at = 0.0  # seconds of audio the session had when this client came to it
        self._told_pace = False
        self._free_bytes = 0
        self._replies: list[str] = []
        self._wake = asyncio.Event()
        self._closing: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._close_with: int | None = None  # once no session is left and all is sent
        self._impatience: asyncio.TimerHandle | None = None  # until the first `start`

    async def run(self) -> None:
        """Serve until the client or ``shut_down`` ends it; a session still live is stopped."""
        self._expect_start()
        reading = asyncio.create_task(self._read(), name="native read")
        writing = asyncio.create_task(self._write(), name="native write")
        try:
            over: set[asyncio.Future[Any]] = {reading, writing, self._closing}
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._started()
            about = self._about
            self._leave_session()
            for task in (reading, writing):
                task.cancel()
            await asyncio.wait({reading, writing})
            # Closed here and not by the reader's task: a close beside a pending receive cuts the
            # socket at once, and the client may lose what was sent last.
            if self._closing.done() or self.relay is None:
                code = self._closing.result() if self._closing.done() else WSCloseCode.OK
                await self._close(code)
            while self.relay is not None and self._replies:
                await self._send(self._replies.pop(0))
        for task in (reading, writing):
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, ConnectionError):  # who leaves, leaves
                log.error("native_connection_failed", exc_info=error, **about)

    def say_goodbye(self, deadline: float) -> None:
        """Tell a client of protocol 2 that the gateway goes away in ``deadline`` seconds."""
        if self._protocol == 2:
            self._reply("goaway", deadline_s=deadline)
        if self._session is None:
            self._close_with = WSCloseCode.GOING_AWAY
            self._wake.set()

    def shut_down(self, reason: StopReason) -> None:
        """Stop the session, and close once everything that is owed has been sent."""
        self._close_with = WSCloseCode.GOING_AWAY
        if self._session is not None:
            self._session.stop(reason)
        self._wake.set()

    def cut_off(self) -> None:
        """Stop the session and close: the key is no good any more."""
        self._reply_error(RequestError(ErrorCode.UNAUTHORIZED, "The key was revoked."), fatal=True)
        self._close_with = _UNAUTHORIZED if self._protocol == 2 else WSCloseCode.POLICY_VIOLATION
        if self._session is not None:
            self._session.stop("client")
            self._session.release()
        self._wake.set()

    def hang_up(self) -> None:
        """Close now if the session was cut short."""
        if self._session is not None and self._session.cut_short and not self._closing.done():
            self._closing.set_result(WSCloseCode.GOING_AWAY)

    # --- from the client ------------------------------------------------------------------------

    async def _read(self) -> None:
        if self._protocol == 2:
            self._reply(
                "hello",
                protocol=2,
                server="sttgate",
                max_message_bytes=self._max_message_bytes,
                providers=list(self._gateway.providers),
                auth=self.caller.principal.id is not None,
            )
        receive = self._socket.receive
        while True:
            message = await receive()
            if message.type is WSMsgType.BINARY:
                session = self._session
                if session is not None and message.data:
                    session.append(message.data)
                    audio = session.audio
                    if audio.full:
                        await audio.room()
                    if self._pace is not None and audio.size > self._free_bytes:
                        await self._keep_pace(session, self._pace)
            elif message.type is WSMsgType.TEXT:
                await self._take(message.data)
                if self.relay is not None:
                    return
            elif message.type in _OVER:
                return

    async def _keep_pace(self, session: Session, pace: Pace) -> None:
        """Read no further for a while when audio comes faster than it may; the client then waits."""
        if wait := pace.wait(session.audio.seconds - self._entered_at):
            if not self._told_pace:
                self._told_pace = True
                session.warn("audio_too_fast", "Audio comes too fast and has to wait.")
            await asyncio.sleep(wait)
        self._free_bytes = session.audio.format.bytes(self._entered_at + pace.free_s)

    def _expect_start(self) -> None:
        """Give a client that asked for protocol 2 some time to say something; 1 may be silent for ever."""
        patience = self._gateway.admission.limits.start_s
        if self._protocol == 2 and patience is not None:
            self._impatience = asyncio.get_running_loop().call_later(
                patience, self._never_started, patience
            )

    def _started(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _never_started(self, patience: float) -> None:
        self._impatience = None
        message = f"Nothing was said for {patience:g} s, and no session was started."
        self._reply_error(RequestError(ErrorCode.IDLE_TIMEOUT, message), fatal=True)
        self._close_with = _NEVER_STARTED

    async def _take(self, text: str) -> None:
        if self._impatience is not None:
            self._started()
            self._expect_start()
        message = requests.parse_event(text)
        if message is None:
            log.debug("native_message_ignored", **self._about)
            self._complain(ErrorCode.INVALID_JSON, "The message is not a JSON object with 'event'.")
            return
        event = message["event"]
        if event == "start":
            self._started()
            await self._start(message, text)
        elif event == "stop":
            self._stop(discard=message.get("discard") is True)
        elif self._protocol == 2:
            self._take_extension(event, message)

    async def _start(self, message: Mapping[str, Any], text: str) -> None:
        if self._session is not None:
            if not self._session.failed:
                return  # one session at a time; a second start while one runs means nothing
            self._session.stop("provider_error")
            self._leave_session()
        try:
            if message.get("protocol") == 2:
                self._protocol = 2
            start = requests.parse_start(message)
            if self._protocol == 2 and start.resume is not None:
                await self._resume(start, start.resume, text)
                return
            owner = self.caller.principal.id
            params = start.session_params(self._next_id, self._protocol, owner)
            session = await self._gateway.open_session(params, self.caller)
        except RequestError as error:
            self._reply_error(error)
            return
        self._next_id = str(uuid.uuid4())
        self._enter_session(session, start, after=0)
        unknown = requests.unknown_fields(message)
        if unknown:
            session.warn("unknown_field", f"Ignored: {', '.join(unknown)}.")
        if start.provider_options:
            session.warn("unsupported_parameter", "Ignored: provider_options.")

    async def _resume(self, start: requests.Start, resume: requests.Resume, text: str) -> None:
        """Take over a session whose socket was lost, and have its events since then sent again."""
        session = self._gateway.find_resumable(resume.session_id, resume.token)
        if session is None and (worker := await self._gateway.peers.find(resume.session_id)):
            self.relay = await Relay.open(self._socket, self._request, self.caller, worker, text)
            if self.relay is not None:
                return
        if session is not None and not self.caller.principal.sees(session.params.owner):
            session = None
        if session is None or resume.last_seq > session.events.last_seq:
            message = "There is no such session to resume. Start a new one."
            self._reply_error(RequestError(ErrorCode.SESSION_NOT_FOUND, message), fatal=True)
            self._close_with = _UNKNOWN_SESSION
            return
        self._enter_session(session, start, after=resume.last_seq)
        self._reply(
            "resumed",
            session_id=session.id,
            received_bytes=session.received_bytes,
            seq=session.events.last_seq,
        )

    def _enter_session(self, session: Session, start: requests.Start, *, after: int) -> None:
        session.attach(self._taken_over)
        self._session = session
        self._words = start.words
        max_speed = self._gateway.admission.limits.max_speed
        self._pace = Pace(max_speed) if max_speed is not None else None
        self._entered_at, self._told_pace = session.audio.seconds, False
        self._free_bytes = 0  # of the session's audio: nobody has to wait before that
        self._reader = session.events.reader(after, self._wake.set, words=start.words)
        if self._protocol == 2 and start.acks:
            self._acknowledge(session, 1.0 if start.acks is True else start.acks, -1)

    def _acknowledge(self, session: Session, interval: float, acknowledged: int) -> None:
        """Say, now and each ``interval`` seconds, how much audio was received, if that is news."""
        if session is not self._session:
            return
        if session.received_bytes != acknowledged:
            self._reply(
                "ack",
                received_bytes=session.received_bytes,
                received_s=round(session.audio.seconds, 3),
                stored_s=round(session.audio.written_seconds, 3),
            )
        asyncio.get_running_loop().call_later(
            interval, self._acknowledge, session, interval, session.received_bytes
        )

    def _taken_over(self) -> None:
        """Let go of the session at once: another connection has resumed it."""
        self._leave_session(detach=False)
        message = "The session was resumed by another connection."
        self._reply_error(RequestError(ErrorCode.SESSION_TAKEN, message), fatal=True)
        self._close_with = _TAKEN_OVER

    def _stop(self, *, discard: bool) -> None:
        if self._session is not None:
            self._session.stop("client", discard=discard and self._protocol == 2)
            return
        stopped = entries.Stopped(session_id=self._next_id, full_transcription="", seq=1)
        self._next_id = str(uuid.uuid4())
        self._queue(render_base(stopped) if self._protocol == 1 else render(stopped, words=False))

    def _take_extension(self, event: str, message: Mapping[str, Any]) -> None:
        """Handle an event only protocol 2 knows."""
        action = self._actions.get(event)
        try:
            if event == "ping":
                self._reply("pong", id=requests.parse_id(message))
            elif event == "keepalive":
                pass
            elif action is None:
                raise RequestError(ErrorCode.BAD_REQUEST, f"There is no event {event[:40]!r}.")
            elif self._session is None:
                raise RequestError(ErrorCode.BAD_REQUEST, f"Send 'start' before {event!r}.")
            else:
                action(self, self._session, message)
        except RequestError as error:
            self._reply_error(error)

    def _finalize(self, session: Session, message: Mapping[str, Any]) -> None:
        session.finalize(requests.parse_id(message))

    def _pause(self, session: Session, message: Mapping[str, Any]) -> None:
        session.pause()

    def _unpause(self, session: Session, message: Mapping[str, Any]) -> None:
        session.unpause()

    def _mark(self, session: Session, message: Mapping[str, Any]) -> None:
        label = message.get("label", "")
        if not isinstance(label, str) or len(label) > 200:
            raise RequestError(ErrorCode.BAD_REQUEST, "A label is text of at most 200 characters.")
        session.mark(label)

    def _metadata(self, session: Session, message: Mapping[str, Any]) -> None:
        metadata = requests.parse_metadata(message)
        requests.check_metadata({**session.metadata, **metadata})
        session.add_metadata(metadata)

    _actions: Mapping[str, Callable[[NativeConnection, Session, Mapping[str, Any]], None]] = {
        "finalize": _finalize,
        "pause": _pause,
        "unpause": _unpause,
        "mark": _mark,
        "metadata": _metadata,
    }

    # --- to the client --------------------------------------------------------------------------

    def _complain(self, code: ErrorCode, message: str) -> None:
        """Answer nonsense: protocol 1 never does, since its page shows every error to the user."""
        if self._protocol == 2:
            self._reply_error(RequestError(code, message))

    def _reply_error(self, error: RequestError, *, fatal: bool = False) -> None:
        if self._protocol == 1:
            self._queue(render_base(entries.Error(message=str(error), code=error.code)))
            return
        retryable = error.code in (ErrorCode.SHUTDOWN, ErrorCode.STORAGE_FAILED, ErrorCode.CAPACITY)
        self._reply("error", message=str(error), code=error.code, retryable=retryable, fatal=fatal)

    def _reply(self, event: str, **fields: Any) -> None:
        self._queue(render_message(event, **fields))

    def _queue(self, text: str | None) -> None:
        if text is not None and len(self._replies) < _MAX_REPLIES:
            self._replies.append(text)
            self._wake.set()

    async def _write(self) -> None:
        while True:
            self._wake.clear()  # first, so that whatever comes from here on is not slept through
            while self._replies:
                await self._send(self._replies.pop(0))
            reader = self._reader
            batch = await reader.take() if reader is not None else []
            for entry in batch:
                if reader is not self._reader:
                    break
                text = (
                    render_base(entry) if self._protocol == 1 else render(entry, words=self._words)
                )
                if isinstance(entry, entries.Stopped):
                    self._leave_session()
                if text is not None:
                    await self._send(text)
            if self._close_with is not None and self._session is None and not self._replies:
                if not self._closing.done():
                    self._closing.set_result(self._close_with)
                return
            if not batch or self._reader is None or self._reader.up_to_date:
                await self._wake.wait()

    async def _send(self, text: str) -> None:
        transport = self._transport
        idle = transport is None or transport.get_write_buffer_size() == 0
        try:
            if idle and len(text) <= _SHORT:
                # Nothing is waiting, so this cannot block: no need to pay for a timer.
                await self._socket.send_str(text)
                return
            async with asyncio.timeout(_WRITE_TIMEOUT):
                await self._socket.send_str(text)
        except TimeoutError:
            log.warning("client_does_not_read", **self._about)
            self._abort()
            raise ConnectionResetError from None

    async def _close(self, code: int) -> None:
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._socket.close(code=code)
        except (TimeoutError, ConnectionError):
            self._abort()

    @property
    def _about(self) -> dict[str, str]:
        """What a line of the log says about the session, if there is one."""
        return {} if self._session is None else {"session": self._session.id}

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _leave_session(self, *, detach: bool = True) -> None:
        """Follow the session no longer: without a socket it stops, or waits to be resumed."""
        session, reader = self._session, self._reader
        self._session = self._reader = None
        if reader is not None:
            reader.close()
        if session is not None and detach:
            session.detach()
