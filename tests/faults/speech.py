"""Audio for the parrot, and what has to be true of any session that heard it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from sttgate.audio import WAV_HEADER_BYTES
from sttgate.session.entries import AnyEntry
from tests.faults.engines.parrot import RATE, WORD_SECONDS

WORD_SAMPLES = round(WORD_SECONDS * RATE)
WORD_BYTES = 2 * WORD_SAMPLES
LARGEST = 32_000  # words have numbers from 1 to this

Message = Mapping[str, Any]


def speech(numbers: Iterable[int]) -> bytes:
    """Return the audio of these words; 0 is silence of the same length."""
    values = np.fromiter(numbers, "<i2")
    samples = np.repeat(values, WORD_SAMPLES)
    samples[WORD_SAMPLES - 1 :: WORD_SAMPLES] *= -1
    return samples.tobytes()


def spell(numbers: Iterable[int]) -> str:
    """Return the text of these words."""
    return " ".join(f"w{number}" for number in numbers if number)


def count(words: int, start: int = 1) -> list[int]:
    """Return so many numbers, beginning again after the largest."""
    return [(start - 1 + n) % LARGEST + 1 for n in range(words)]


def plain(log: Iterable[AnyEntry]) -> list[Message]:
    """Return the entries of a session as the messages of protocol 2."""
    return [msgspec.to_builtins(entry) for entry in log]


def finals(log: Iterable[Message]) -> list[Message]:
    """Return the finals among the messages of a session."""
    return [m for m in log if m["event"] == "transcript" and m["is_final"]]


def text(log: Iterable[Message]) -> str:
    """Return all finals joined with one space."""
    return " ".join(final["text"] for final in finals(log))


def check(log: Sequence[Message], numbers: Sequence[int] | None = None) -> None:
    """Assert what holds for the messages of every session; ``numbers`` are the words it heard.

    ``seq`` grows, finals are in order and do not overlap, each utterance is closed once, each word
    stands at its time on the session's clock, and no audio was left out.
    """
    sequence = [m["seq"] for m in log if m.get("seq")]
    assert sequence == sorted(set(sequence))
    said = finals(log)
    for before, after in pairwise(said):
        assert before["start"] <= before["end"] <= after["start"] + 0.002
        assert before["utterance_id"] <= after["utterance_id"]
    closed = [m["utterance_id"] for m in log if m["event"] == "utterance_end"]
    assert closed == sorted(set(closed))
    if log and log[-1]["event"] == "stopped":
        assert set(closed) == {final["utterance_id"] for final in said if final["text"]}
        assert log[-1]["full_transcription"] == text(log)
    if numbers is not None:
        assert text(log) == spell(numbers)
        assert not [m for m in log if m["event"] == "gap"]
        check_times(said, numbers)


def check_times(said: Iterable[Message], numbers: Sequence[int]) -> float:
    """Assert that each word ends where its audio does; return the largest error in seconds."""
    ends = [WORD_SECONDS * (n + 1) for n, number in enumerate(numbers) if number]
    words = [word for final in said for word in final.get("words") or ()]
    assert not words or len(words) == len(ends)
    worst = max((abs(w["end"] - end) for w, end in zip(words, ends, strict=False)), default=0.0)
    assert worst <= 0.002
    return worst


def words_in(pcm: bytes) -> list[int]:
    """Return the numbers of the words that end in ``pcm``."""
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
    return [int(number) for number in -samples[samples < 0]]


def pcm_of(wav: bytes) -> bytes:
    """Return the samples of a recording."""
    assert wav[:4] == b"RIFF"
    assert wav[36:40] == b"data"
    return wav[WAV_HEADER_BYTES:]
