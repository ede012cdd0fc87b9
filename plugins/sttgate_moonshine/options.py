"""What can be set for the local engine in config.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sttgate import Options


class MoonshineOptions(Options):
    """Options of the ``moonshine`` provider."""

    workers: Annotated[int, Field(ge=1, le=256)] | None = None
    """Decoding threads, shared by all streams; by default one for each CPU core."""

    threads: Annotated[int, Field(ge=1, le=16)] = 1
    """CPU threads of one decode. More make a single stream quicker and many streams slower."""

    max_streams: Annotated[int, Field(ge=1)] | None = None
    """Streams at once; by default 24 for each thread, at most 120. If all of them speak without a rest, 95
    of 100 finals come within 1.5 s of the last voice."""

    endpointing_ms: Annotated[int, Field(ge=100, le=10_000)] | Literal[False] = 500
    """Pause in milliseconds that closes an utterance, `false` for never; a stream may ask for another."""

    interim_ms: Annotated[int, Field(ge=100, le=10_000)] = 500
    """Milliseconds of audio from one interim result to the next, while there is CPU to spare."""

    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.35
    """Words less certain than this, by the mean over a segment, are taken for noise and dropped."""

    max_segment_s: Annotated[float, Field(ge=5, le=20)] = 18.0
    """Longest segment in seconds; speech without a pause is cut where the voice is weakest."""

    max_wait_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """New streams go elsewhere while finished speech waits longer than this for a free thread."""
