"""moonshine: speech recognition on this machine, without a key or a network.

Moonshine tiny-en on onnxruntime, cut by Silero VAD; English only. The models come with the packages
of ``pip install 'sttgate[local]'``.
"""

from __future__ import annotations

from sttgate import ProviderSpec, hookimpl
from sttgate_moonshine.options import MoonshineOptions
from sttgate_moonshine.provider import MoonshineProvider


@hookimpl
def sttgate_providers() -> list[ProviderSpec]:
    """Offer the local engine."""
    return [
        ProviderSpec(
            name="moonshine",
            factory=MoonshineProvider,
            options=MoonshineOptions,
            summary="English speech recognition on this machine, without a key or a network",
        )
    ]
