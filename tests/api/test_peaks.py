"""The outline of a recording."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttgate.api.peaks import Outline


@given(
    frames=st.integers(1, 400),
    channels=st.integers(1, 3),
    pieces=st.integers(1, 60),
    block=st.integers(1, 100),
    seed=st.integers(0, 9),
)
def test_is_lowest_and_highest(
    frames: int, channels: int, pieces: int, block: int, seed: int
) -> None:
    """However the audio is cut into blocks, each piece has the lowest and highest of its samples."""
    samples = np.random.default_rng(seed).integers(-32768, 32768, (frames, channels), np.int16)
    outline = Outline(frames, channels, pieces)
    for at in range(0, frames, block):
        outline.add(samples[at : at + block].astype("<i2").tobytes())
    count = min(pieces, frames)
    edges = [n * frames // count for n in range(count + 1)]
    expected = [
        [
            (round(int(part.min()) / 32768, 4), round(int(part.max()) / 32768, 4))
            for part in (samples[a:b, channel] for a, b in pairwise(edges))
        ]
        for channel in range(channels)
    ]
    found = outline.channels()
    assert len(found) == channels
    for one, other in zip(found, expected, strict=True):
        assert one == [pytest.approx(pair) for pair in other]


def test_nothing() -> None:
    """A recording without a sample has no pieces."""
    outline = Outline(0, 2, 10)
    outline.add(b"")
    assert outline.channels() == [[], []]


def test_missing_end() -> None:
    """A recording that is shorter than its header says has the pieces that are there."""
    outline = Outline(100, 1, 10)
    outline.add(np.full(25, 8192, "<i2").tobytes())
    assert outline.channels() == [[(0.25, 0.25)] * 3]


def test_more_than_announced() -> None:
    """What lies behind the end is not looked at."""
    outline = Outline(10, 1, 10)
    outline.add(np.full(10, 16384, "<i2").tobytes() + np.full(5, -1, "<i2").tobytes() + b"x")
    assert outline.channels() == [[(0.5, 0.5)] * 10]
