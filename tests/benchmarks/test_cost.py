"""A chunk of audio costs sttgate a small multiple of what it costs a bare relay."""

from __future__ import annotations

import sys

import pytest

from benchmarks.bench import peers, side_by_side
from benchmarks.run import measure_together

BOUND = 4.5
"""Times a bare relay on the same library; about 2.2 is usual, and 3 on a machine that is busy."""

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="reads the CPU time of processes from /proc"
)


async def test_a_chunk_costs_no_more_than_a_few_times_a_relay() -> None:
    """With everything on, a session costs at most BOUND times the CPU of a relay beside it."""
    with side_by_side(peers("aiohttp relay", "sttgate"), hurry=False) as servers:
        for _ in range(2):
            costs, heard = await measure_together(servers, 15, 100, 1.5, warm_up=0.5)
            assert heard.wrong == {}
            ratio = costs["sttgate"] / costs["aiohttp relay"]
            if ratio < BOUND:
                return
    pytest.fail(
        f"a 100 ms chunk took {costs['sttgate']:.0f} µs of CPU, {ratio:.1f} times a bare relay's"
        f" {costs['aiohttp relay']:.0f} µs; twice; at most {BOUND} times is expected"
    )
