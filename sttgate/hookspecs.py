"""The hooks a plugin may implement. They are synchronous, return data, and never touch the audio path."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from sttgate.provider import ProviderSpec
from sttgate.stores import StoreSpec

PROJECT = "sttgate"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def sttgate_providers() -> Iterable[ProviderSpec]:
    """Offer speech-to-text providers.

    Called once when plugins are loaded::

        @hookimpl
        def sttgate_providers():
            return [ProviderSpec(name="acme", factory=Acme, options=AcmeOptions, summary="Acme Speech")]
    """
    raise NotImplementedError


@hookspec
def sttgate_transcript_stores() -> Iterable[StoreSpec]:
    """Offer stores for transcripts; the factory returns a ``TranscriptStore``."""
    raise NotImplementedError


@hookspec
def sttgate_recording_stores() -> Iterable[StoreSpec]:
    """Offer stores for recordings; the factory returns a ``RecordingStore``."""
    raise NotImplementedError
