"""What uploads use of the gateway, which they are a part of."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from sttgate.admission import Caller
from sttgate.session.params import SessionParams
from sttgate.session.session import Session
from sttgate.session.spool import Spool
from sttgate.stores import RecordingStore, TranscriptStore
from sttgate.workers.peers import Peers


class House(Protocol):
    """What uploads use of the gateway."""

    spool: Spool
    transcripts: TranscriptStore
    recordings: RecordingStore
    sessions: dict[str, Session]
    draining: bool
    peers: Peers

    def check_params(self, params: SessionParams) -> None:
        """Raise RequestError when no session could be had with ``params``."""

    async def has_room_for(self, size: int) -> bool:
        """Whether the disk of the spool has room for ``size`` bytes more than it must have."""

    def open_session(self, params: SessionParams, caller: Caller) -> Coroutine[Any, Any, Session]:
        """Open a session."""
