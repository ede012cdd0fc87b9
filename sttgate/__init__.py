"""sttgate: a gateway for live speech-to-text. These are the names a plugin author imports.

Each is imported from its module when it is first asked for, so that ``sttgate --help`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sttgate.batch import BatchProvider, EngineThreads, Recognized
    from sttgate.errors import (
        ErrorCode,
        NotConfigured,
        PluginError,
        ProviderAuth,
        ProviderError,
        ProviderProtocol,
        ProviderQuota,
        ProviderRejected,
        ProviderTimeout,
        ProviderUnavailable,
        RequestError,
        StoreError,
        SttgateError,
    )
    from sttgate.events import (
        Finalized,
        ProviderEvent,
        SpeechStarted,
        Transcript,
        UtteranceEnd,
        Word,
    )
    from sttgate.hookspecs import hookimpl
    from sttgate.provider import (
        AudioInput,
        Capabilities,
        Control,
        FromEnv,
        Options,
        Provider,
        ProviderSpec,
        StreamParams,
    )
    from sttgate.stores import (
        Conversation,
        DayUsage,
        Gap,
        Hit,
        Mark,
        Recording,
        RecordingStore,
        SessionChange,
        SessionEnd,
        SessionPage,
        SessionQuery,
        SessionStart,
        StoredSession,
        StoreSpec,
        TranscriptStore,
        Utterance,
    )

_HOMES = {
    "batch": ("BatchProvider", "EngineThreads", "Recognized"),
    "errors": (
        "ErrorCode",
        "NotConfigured",
        "PluginError",
        "ProviderAuth",
        "ProviderError",
        "ProviderProtocol",
        "ProviderQuota",
        "ProviderRejected",
        "ProviderTimeout",
        "ProviderUnavailable",
        "RequestError",
        "StoreError",
        "SttgateError",
    ),
    "events": (
        "Finalized",
        "ProviderEvent",
        "SpeechStarted",
        "Transcript",
        "UtteranceEnd",
        "Word",
    ),
    "hookspecs": ("hookimpl",),
    "provider": (
        "AudioInput",
        "Capabilities",
        "Control",
        "FromEnv",
        "Options",
        "Provider",
        "ProviderSpec",
        "StreamParams",
    ),
    "stores": (
        "Conversation",
        "DayUsage",
        "Gap",
        "Hit",
        "Mark",
        "Recording",
        "RecordingStore",
        "SessionChange",
        "SessionEnd",
        "SessionPage",
        "SessionQuery",
        "SessionStart",
        "StoreSpec",
        "StoredSession",
        "TranscriptStore",
        "Utterance",
    ),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AudioInput",
    "BatchProvider",
    "Capabilities",
    "Control",
    "Conversation",
    "DayUsage",
    "EngineThreads",
    "ErrorCode",
    "Finalized",
    "FromEnv",
    "Gap",
    "Hit",
    "Mark",
    "NotConfigured",
    "Options",
    "PluginError",
    "Provider",
    "ProviderAuth",
    "ProviderError",
    "ProviderEvent",
    "ProviderProtocol",
    "ProviderQuota",
    "ProviderRejected",
    "ProviderSpec",
    "ProviderTimeout",
    "ProviderUnavailable",
    "Recognized",
    "Recording",
    "RecordingStore",
    "RequestError",
    "SessionChange",
    "SessionEnd",
    "SessionPage",
    "SessionQuery",
    "SessionStart",
    "SpeechStarted",
    "StoreError",
    "StoreSpec",
    "StoredSession",
    "StreamParams",
    "SttgateError",
    "Transcript",
    "TranscriptStore",
    "Utterance",
    "UtteranceEnd",
    "Word",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if (module := _MODULES.get(name)) is None:
        raise AttributeError(f"module 'sttgate' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"sttgate.{module}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
