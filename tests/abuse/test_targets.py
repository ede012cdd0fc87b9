"""What takes strangers' bytes apart bears whatever they are."""

from __future__ import annotations

import time

import pytest

from tests.abuse.corpus import SEEDS, examples
from tests.abuse.targets import TARGETS

COUNT = 300
OF_CONFIGURATION = 60  # YAML is slow, and no stranger writes it
SLOW = 2.0  # seconds for one of them, on a busy machine


@pytest.mark.parametrize("name", TARGETS)
def test_target(name: str) -> None:
    """No input raises what is not documented, and none takes long."""
    for data in examples(name, OF_CONFIGURATION if name == "configuration" else COUNT):
        began = time.process_time()
        try:
            TARGETS[name](data)
        except BaseException as error:
            error.add_note(f"the input was {data[:500]!r}")
            raise
        assert time.process_time() - began < SLOW, data[:500]


def test_every_target_has_seeds() -> None:
    """There are examples for each, the same ones each time."""
    assert set(SEEDS) == set(TARGETS)
    for name in TARGETS:
        assert list(examples(name, 5)) == list(examples(name, 5))
