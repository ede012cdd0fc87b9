"""What a caller asks of a session, whatever wire it came over."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from pydantic import TypeAdapter, ValidationError

from sttgate.audio import AudioFormat
from sttgate.provider import StreamParams
from sttgate.stores import Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParams:
    """The parameters of one session.

    ``protocol`` names the wire, such as ``"native/1"``. ``provider`` is a name from the
    configuration, None for its chain. ``multichannel``: one recognition per channel instead of one
    of all channels mixed. ``store_*``: what may outlive the session. ``resumable``: the session
    outlives its socket for a while. ``created_at``: seconds since the epoch. ``owner``: the id of
    the key it belongs to, None if nobody was asked for one.
    """

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: float = field(default_factory=time.time)
    protocol: str
    provider: str | None = None
    format: AudioFormat = field(default_factory=AudioFormat)
    multichannel: bool = False
    stream: StreamParams = field(default_factory=StreamParams)
    title: str | None = None
    client_ref: str | None = None
    owner: str | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    store_transcript: bool = True
    store_audio: bool = True
    resumable: bool = False


_adapter = TypeAdapter(SessionParams)


def dump_params(params: SessionParams) -> bytes:
    """Return ``params`` as JSON for the spool."""
    return msgspec.json.encode(params)


def load_params(data: bytes) -> SessionParams | None:
    """Return what ``dump_params`` wrote, or None if the bytes are no such thing."""
    try:
        return _adapter.validate_json(data)
    except ValidationError:
        return None
