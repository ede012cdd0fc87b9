"""Deepgram's live speech-to-text as a provider of sttgate, through the official SDK.

Nothing heavy is imported before ``DeepgramProvider.open``; `options.py` has what can be configured.
"""

from __future__ import annotations

from collections.abc import Iterable

from sttgate import ProviderSpec, hookimpl
from sttgate_deepgram.options import DeepgramOptions
from sttgate_deepgram.provider import DeepgramProvider

__all__ = ["DeepgramOptions", "DeepgramProvider"]


@hookimpl
def sttgate_providers() -> Iterable[ProviderSpec]:
    """Offer Deepgram."""
    return [
        ProviderSpec(
            name="deepgram",
            factory=DeepgramProvider,
            options=DeepgramOptions,
            summary="Deepgram live transcription (nova-3), hosted or self-hosted.",
        )
    ]
