"""What a caller asks of a session, whatever wire it came over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sttgate.audio import AudioFormat
from sttgate.provider import StreamParams
from sttgate.stores import Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParams:
    """The parameters of one session.

    ``protocol`` names the wire, such as ``"native/1"``. ``provider`` is a name from the
    configuration, None for its chain. ``multichannel``: one recognition per channel instead of one
    of all channels mixed. ``store_*``: what may outlive the session.
    """

    id: str
    protocol: str
    provider: str | None = None
    format: AudioFormat = field(default_factory=AudioFormat)
    multichannel: bool = False
    stream: StreamParams = field(default_factory=StreamParams)
    title: str | None = None
    client_ref: str | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    store_transcript: bool = True
    store_audio: bool = True
