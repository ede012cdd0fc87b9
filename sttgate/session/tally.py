"""What the sessions of a process add up to: plain counters, read when somebody asks for metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal

from sttgate.session.histogram import DURATION_S, LAG_S, LATENCY_S, WRITE_S, Histogram

LatencyKind = Literal["connect", "first_interim", "final"]
StoreOp = Literal["begin", "utterance", "end", "recording", "delete"]


@dataclass(slots=True)
class Tally:
    """Counts since the process started.

    ``sessions`` by (provider, protocol, outcome), ``provider_errors`` by (provider, code),
    ``rejected`` by reason, ``reloads`` of the configuration by outcome; ``latency`` by kind and
    provider, ``durations`` of sessions by provider, ``store_writes`` by operation; audio and times
    in seconds. Who only looks uses ``get``.
    """

    sessions: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    provider_errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    latency: defaultdict[tuple[LatencyKind, str], Histogram] = field(
        default_factory=lambda: defaultdict(lambda: Histogram(LATENCY_S))
    )
    durations: defaultdict[str, Histogram] = field(
        default_factory=lambda: defaultdict(lambda: Histogram(DURATION_S))
    )
    store_writes: defaultdict[StoreOp, Histogram] = field(
        default_factory=lambda: defaultdict(lambda: Histogram(WRITE_S))
    )
    loop_lag: Histogram = field(default_factory=lambda: Histogram(LAG_S))
    switches: int = 0
    segments: int = 0
    resumes: int = 0
    reloads: Counter[str] = field(default_factory=Counter)
    audio_s: float = 0.0
    replayed_s: float = 0.0
    unrecorded_s: float = 0.0
