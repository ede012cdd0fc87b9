"""openai: transcription over HTTP, one request for each utterance, by OpenAI or whoever speaks like it.

``POST /audio/transcriptions`` is what OpenAI, Groq, speaches, vLLM, whisper.cpp, LocalAI and LiteLLM
have in common. `options.py` has what can be configured.
"""

from __future__ import annotations

from collections.abc import Iterable

from sttgate import ProviderSpec, hookimpl
from sttgate_openai.options import OpenAIOptions
from sttgate_openai.provider import OpenAIProvider

__all__ = ["OpenAIOptions", "OpenAIProvider"]


@hookimpl
def sttgate_providers() -> Iterable[ProviderSpec]:
    """Offer OpenAI and compatible servers."""
    return [
        ProviderSpec(
            name="openai",
            factory=OpenAIProvider,
            options=OpenAIOptions,
            summary="OpenAI-compatible transcription (OpenAI, Groq, speaches, vLLM, whisper.cpp, …)",
        )
    ]
