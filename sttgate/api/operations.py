"""Every operation of the API, in the order of its document."""

from __future__ import annotations

from collections.abc import Sequence

from sttgate.access.gate import Gate
from sttgate.api.access import AccessApi
from sttgate.api.events import EventsApi
from sttgate.api.openapi import OpenApi
from sttgate.api.providers import ProvidersApi
from sttgate.api.recordings import RecordingsApi
from sttgate.api.routing import Operation
from sttgate.api.sessions import SessionsApi
from sttgate.api.status import StatusApi
from sttgate.api.transcriptions import TranscriptionsApi
from sttgate.api.usage import UsageApi
from sttgate.gateway import Gateway


def operations_of(gateway: Gateway, gate: Gate) -> Sequence[Operation]:
    """Return the operations that serve ``gateway`` to those whom ``gate`` lets in."""
    operations = [
        *SessionsApi(gateway).operations(),
        *RecordingsApi(gateway).operations(),
        *EventsApi(gateway).operations(),
        *TranscriptionsApi(gateway).operations(),
        *ProvidersApi(gateway).operations(),
        *StatusApi(gateway).operations(),
        *UsageApi(gateway.transcripts).operations(),
        *AccessApi(gate).operations(),
    ]
    return [*operations, *OpenApi(operations).operations()]
