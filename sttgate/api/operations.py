"""Every operation of the API, in the order of its document."""

from __future__ import annotations

from collections.abc import Iterable

from sttgate.api.events import EventsApi
from sttgate.api.routing import Operation
from sttgate.api.transcriptions import TranscriptionsApi
from sttgate.gateway import Gateway


def operations_of(gateway: Gateway) -> Iterable[Operation]:
    """Return the operations that serve ``gateway``."""
    return [
        *EventsApi(gateway).operations(),
        *TranscriptionsApi(gateway).operations(),
    ]
