"""What a provider says while it listens. Times are seconds of *this stream's* audio, from 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One recognised word; ``confidence`` is 0 to 1, ``speaker`` a label such as ``"0"``."""

    text: str
    start: float
    end: float
    confidence: float | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The words between ``start`` and ``end``.

    ``is_final`` false: an interim, replaced by whatever comes next. True: a final, a *segment*; it
    never changes, and the audio up to ``end`` is settled. A final with an empty ``text`` says that
    nothing was spoken in that span: it settles silence. ``endpoint`` on a final says that the
    speaker paused: the utterance (all finals since the last endpoint) is complete.
    ``words`` may be a sequence that makes them when somebody looks: of interims, nobody may.
    """

    text: str
    start: float
    end: float
    is_final: bool
    endpoint: bool = False
    words: Sequence[Word] = ()
    confidence: float | None = None
    language: str | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted:
    """Somebody began to speak at ``at`` seconds."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceEnd:
    """The utterance whose last word ended at ``at`` seconds is complete.

    For engines that report this apart from the finals; ``Transcript.endpoint`` is the other way.
    Send either or both: the host closes an utterance once.
    """

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """The answer to ``Control.FINALIZE``: everything heard before it is settled."""


ProviderEvent = Transcript | SpeechStarted | UtteranceEnd | Finalized
