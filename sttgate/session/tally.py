"""What the sessions of a process add up to: plain counters, read when somebody asks for metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts since the process started.

    ``sessions`` by (provider, protocol, outcome), ``provider_errors`` by (provider, code),
    ``rejected`` by reason, ``reloads`` of the configuration by outcome; audio in seconds.
    """

    sessions: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    provider_errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    switches: int = 0
    segments: int = 0
    resumes: int = 0
    reloads: Counter[str] = field(default_factory=Counter)
    audio_s: float = 0.0
    replayed_s: float = 0.0
    unrecorded_s: float = 0.0
