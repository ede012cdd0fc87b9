"""Calls between the supervisor and a worker, both ways over one socket: a line of JSON for each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog

log = structlog.get_logger(__name__)

_LONGEST = 1 << 24  # bytes of one line; the longest are metrics

Handler = Callable[..., Awaitable[Any] | Any]
"""What answers a call: takes its arguments, returns what JSON can carry, or a coroutine of that."""


class ChannelClosed(ConnectionError):
    """The process at the other end is gone."""


class _Message(msgspec.Struct, omit_defaults=True):
    """A call if it has ``call``, else the answer to the call with this ``number``; 0: wants none."""

    number: int = 0
    call: str | None = None
    arguments: list[Any] = []
    answer: Any = None
    failed: bool = False


class Channel:
    """One end. ``handlers`` are what the other end may call, by name."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handlers: Mapping[str, Handler],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._decoder = msgspec.json.Decoder(_Message)
        self._closed = False

    @classmethod
    async def over(cls, socket: Any, handlers: Mapping[str, Handler]) -> Channel:
        """Return the end that is the connected ``socket``."""
        reader, writer = await asyncio.open_unix_connection(sock=socket, limit=_LONGEST)
        return cls(reader, writer, handlers)

    async def serve(self) -> None:
        """Answer calls until the other end is gone; one that waits does not hold up the next."""
        try:
            while line := await self._reader.readline():
                self._take(self._decoder.decode(line))
        except (ConnectionError, ValueError) as error:
            log.error("channel_broken", error=str(error))
        finally:
            self.close()
            for task in self._answering:
                task.cancel()
            if self._answering:
                await asyncio.wait(self._answering)

    async def ask(self, call: str, *arguments: Any) -> Any:
        """Return what the other end answers; ChannelClosed when it is gone, or the call failed."""
        if self._closed:
            raise ChannelClosed
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(_Message(number, call, list(arguments)))
            return await answer
        finally:
            self._waiting.pop(number, None)

    def tell(self, call: str, *arguments: Any) -> None:
        """Call without waiting for an answer; nothing happens when the other end is gone."""
        self._send(_Message(0, call, list(arguments)))

    def close(self) -> None:
        """Take part no longer; whoever waits for an answer gets ChannelClosed."""
        self._closed = True
        self._writer.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ChannelClosed())

    def _send(self, message: _Message) -> None:
        # Never drained: calls are short, and who waits for answers makes no more of them meanwhile.
        if not self._closed:
            self._writer.write(msgspec.json.encode(message) + b"\n")

    def _take(self, message: _Message) -> None:
        if message.call is not None:
            self._call(message)
        elif (answer := self._waiting.get(message.number)) is not None and not answer.done():
            if message.failed:
                answer.set_exception(ChannelClosed("the other process could not answer"))
            else:
                answer.set_result(message.answer)

    def _call(self, message: _Message) -> None:
        assert message.call is not None
        try:
            answer = self._handlers[message.call](*message.arguments)
        except Exception:
            log.exception("call_failed", call=message.call)
            self._answer(message, failed=True)
            return
        if isinstance(answer, Awaitable):
            task = asyncio.ensure_future(self._wait_and_answer(message, answer))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        else:
            self._answer(message, answer)

    async def _wait_and_answer(self, message: _Message, awaited: Awaitable[Any]) -> None:
        try:
            answer = await awaited
        except Exception:
            log.exception("call_failed", call=message.call)
            self._answer(message, failed=True)
        else:
            self._answer(message, answer)

    def _answer(self, message: _Message, answer: Any = None, *, failed: bool = False) -> None:
        if message.number:
            self._send(_Message(message.number, answer=answer, failed=failed))
