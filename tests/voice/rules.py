"""The rules that utterances are cut by in these tests."""

from __future__ import annotations

from sttgate.voice.segmenter import Rules, samples

RULES = Rules(
    endpoint=samples(0.5),
    part_pauses=tuple(
        (samples(length), samples(pause))
        for length, pause in ((10, 0.1), (8, 0.15), (6, 0.2), (4, 0.3), (0, 0.8))
    ),
    longest=samples(18),
    cut_window=samples(3),
)
