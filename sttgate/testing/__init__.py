"""Tools for testing a plugin without a gateway, keys or a network.

``ScriptedAudio`` and its companions need nothing else; the test classes need pytest and
pytest-asyncio (``pip install 'sttgate[testing]'``), and are imported when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sttgate.testing.scripted import ScriptedAudio, collect, silence, tone

if TYPE_CHECKING:
    from sttgate.testing.providers import ProviderTests
    from sttgate.testing.recordings import RecordingStoreTests
    from sttgate.testing.transcripts import TranscriptStoreTests
    from sttgate.testing.vendor import Call, FakeVendorServer, HangUp, VendorFaults
    from sttgate.testing.vowels import voice

_HOMES = {
    "Call": "vendor",
    "FakeVendorServer": "vendor",
    "HangUp": "vendor",
    "ProviderTests": "providers",
    "RecordingStoreTests": "recordings",
    "TranscriptStoreTests": "transcripts",
    "VendorFaults": "vendor",
    "voice": "vowels",
}

__all__ = [
    "Call",
    "FakeVendorServer",
    "HangUp",
    "ProviderTests",
    "RecordingStoreTests",
    "ScriptedAudio",
    "TranscriptStoreTests",
    "VendorFaults",
    "collect",
    "silence",
    "tone",
    "voice",
]


def __getattr__(name: str) -> Any:
    if (module := _HOMES.get(name)) is None:
        raise AttributeError(f"module 'sttgate.testing' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"sttgate.testing.{module}"), name)
    return value
