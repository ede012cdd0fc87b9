"""whisper: OpenAI's Whisper models on this machine, on CTranslate2 (faster-whisper).

The packages come with ``pip install 'sttgate[whisper]'``, the model from a folder or by its name.
"""

from __future__ import annotations

from collections.abc import Iterable

from sttgate import ProviderSpec, hookimpl
from sttgate_whisper.options import WhisperOptions
from sttgate_whisper.provider import WhisperProvider

__all__ = ["WhisperOptions", "WhisperProvider"]


@hookimpl
def sttgate_providers() -> Iterable[ProviderSpec]:
    """Offer Whisper in this process."""
    return [
        ProviderSpec(
            name="whisper",
            factory=WhisperProvider,
            options=WhisperOptions,
            summary="Whisper models on this machine, in a hundred languages",
        )
    ]
