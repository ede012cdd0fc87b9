"""Where ``sttgate transcribe`` brings its audio: sessions of this process, or of a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from sttgate.config import Config
    from sttgate.gateway import Gateway
    from sttgate.session.entries import AnyEntry
    from sttgate.session.session import Session


class Door(Protocol):
    """A session, seen from outside."""

    async def send(self, pcm: bytes) -> None:
        """Take audio; waits while there is too much of it."""

    async def stop(self) -> None:
        """End the audio."""

    def events(self) -> AsyncIterator[AnyEntry]:
        """Yield what the session says, ``Stopped`` last."""


OpenDoor = Callable[..., AbstractAsyncContextManager[Door]]
"""Opens a session; takes the fields of ``start`` (docs/protocol.md) as keywords."""


@asynccontextmanager
async def remote(url: str) -> AsyncIterator[OpenDoor]:
    """Use the gateway that runs at ``url``."""
    from sttgate.client import connect

    yield partial(connect, url)


@asynccontextmanager
async def local(config: Config) -> AsyncIterator[OpenDoor]:
    """Run a gateway without a wire; at the end its sessions are stopped and stored."""
    from sttgate.gateway import Gateway

    gateway = Gateway.from_config(config)
    for skipped in gateway.skipped:
        click.echo(f"skipped {skipped.name}: {skipped.reason}", err=True)
    await gateway.open()
    try:
        yield partial(_open_session, gateway)
    finally:
        await gateway.close()


@asynccontextmanager
async def _open_session(gateway: Gateway, **start: Any) -> AsyncIterator[Door]:
    from uuid import uuid4

    from sttgate.protocols.native.requests import parse_start

    params = parse_start(start).session_params(str(uuid4()), 2)
    session = await gateway.open_session(params)
    try:
        yield _LocalDoor(session)
    finally:
        session.stop()


class _LocalDoor:
    """A session of this process."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def send(self, pcm: bytes) -> None:
        await self._session.audio.room()
        self._session.append(pcm)

    async def stop(self) -> None:
        self._session.stop()

    async def events(self) -> AsyncIterator[AnyEntry]:
        from sttgate.session.entries import Stopped

        reader = self._session.events.reader(0, lambda: None, words=True)
        try:
            async for entry in reader.follow():
                yield entry
                if isinstance(entry, Stopped):
                    return
        finally:
            reader.close()
