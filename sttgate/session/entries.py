"""Entries of a session's event log. Their JSON is, field by field, what protocol 2 sends.

Times are seconds on the session clock: audio received since the session began, pauses left out.
``seq`` is given by the log. ``durable`` entries are on disk before anybody sees them; the others
(interims) are replaced by the next one anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, UnsetType

from sttgate.stores import Scalar

UtteranceEndReason = Literal["endpoint", "timeout", "finalize", "stop"]
StopReason = Literal["client", "idle", "max_duration", "shutdown", "provider_error"]
ProviderState = Literal["connecting", "ready", "reconnecting", "failed_over"]


class Word(msgspec.Struct, kw_only=True, frozen=True, gc=False):
    """One word of a transcript."""

    word: str
    start: float
    end: float
    confidence: float | None = None
    speaker: str | None = None


class Entry(msgspec.Struct, kw_only=True, tag_field="event"):
    """Base of all entries."""

    durable: ClassVar[bool] = True


class Started(Entry, tag="started", kw_only=True):
    """A provider is ready; audio sent before was queued."""

    seq: int = 0
    session_id: str
    provider: str
    model: str | None = None
    language: str | None = None
    encoding: str = "linear16"
    sample_rate: int
    channels: int
    created_at: str
    metadata: Mapping[str, Scalar]
    resume_token: str | UnsetType = UNSET
    resume_window_s: float | UnsetType = UNSET


class Transcript(Entry, tag="transcript", kw_only=True):
    """Words: an interim replaces the one before it on its channel, a final is immutable."""

    text: str
    is_final: bool
    seq: int = 0
    utterance_id: int
    start: float
    end: float
    channel: int = 0
    speaker: str | None = None
    language: str | None = None
    confidence: float | None = None
    speech_final: bool = False
    words: list[Word] | UnsetType = UNSET

    @property
    def durable(self) -> bool:  # type: ignore[override] # the one entry that comes in both kinds
        """Only finals are worth keeping."""
        return self.is_final


class UtteranceEnd(Entry, tag="utterance_end", kw_only=True):
    """The utterance is complete."""

    text: str = ""
    seq: int = 0
    utterance_id: int
    start: float
    end: float
    channel: int = 0
    reason: UtteranceEndReason


class SpeechStarted(Entry, tag="speech_started", kw_only=True):
    """Somebody began to speak."""

    durable: ClassVar[bool] = False

    seq: int = 0
    t: float
    channel: int = 0


class Provider(Entry, tag="provider", kw_only=True):
    """The session changed its stream; ``lost_s`` is audio no provider will hear again."""

    seq: int = 0
    state: ProviderState
    provider: str
    attempt: int = 1
    lost_s: float = 0.0


class Gap(Entry, tag="gap", kw_only=True):
    """No provider has heard the audio from ``start`` to ``end``; the recording has it."""

    seq: int = 0
    start: float
    end: float
    channel: int = 0


class Finalized(Entry, tag="finalized", kw_only=True):
    """The answer to finalize: every word up to ``t`` is final."""

    seq: int = 0
    id: Any = UNSET
    t: float


class Paused(Entry, tag="paused", kw_only=True):
    """Audio is dropped from here on."""

    seq: int = 0
    t: float


class Unpaused(Entry, tag="unpaused", kw_only=True):
    """Audio is taken again."""

    seq: int = 0
    t: float


class Marked(Entry, tag="marked", kw_only=True):
    """A bookmark at ``t``."""

    seq: int = 0
    t: float
    label: str


class Warning(Entry, tag="warning", kw_only=True):
    """Something the client should know; never fatal."""

    seq: int = 0
    code: str
    message: str


class Error(Entry, tag="error", kw_only=True):
    """Something failed; ``message`` is for the person who speaks."""

    message: str
    seq: int = 0
    code: str
    retryable: bool = False
    fatal: bool = False
    retry_after_s: float | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    provider_code: str | UnsetType = UNSET
    session_id: str | UnsetType = UNSET


class Stored(msgspec.Struct, kw_only=True, frozen=True):
    """What of the session is in the stores."""

    transcript: bool
    audio: bool


class Links(msgspec.Struct, kw_only=True, frozen=True):
    """Where the REST API has the session; None for what is not stored."""

    session: str | None = None
    audio: str | None = None


class Usage(msgspec.Struct, kw_only=True, frozen=True):
    """What the session used."""

    audio_s: float


class Stopped(Entry, tag="stopped", kw_only=True):
    """The last entry of a session."""

    durable: ClassVar[bool] = False

    message: str = "STT session ended."
    session_id: str
    full_transcription: str
    seq: int = 0
    reason: StopReason = "client"
    duration_s: float = 0.0
    utterances: int = 0
    words: int = 0
    provider: str | None = None
    model: str | None = None
    stored: Stored = Stored(transcript=False, audio=False)
    links: Links = Links()
    usage: Usage = Usage(audio_s=0.0)


AnyEntry = (
    Started
    | Transcript
    | UtteranceEnd
    | SpeechStarted
    | Provider
    | Gap
    | Finalized
    | Paused
    | Unpaused
    | Marked
    | Warning
    | Error
    | Stopped
)
