"""The wall clock jumps; in virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.promises import Report
from tests.faults.sessions import Heard, hear, parrot
from tests.faults.speech import check, count, speech
from tests.faults.virtual import run_virtually

NOON = 1_800_000_000.0
LABELS = ("session_id", "created_at", "links")


def timeless(heard: Heard) -> list[dict[str, Any]]:
    """Return a session's messages without what names the session or the day."""
    return [{k: v for k, v in m.items() if k not in LABELS} for m in heard.log]


@pytest.mark.promise("P20")
@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_jump_of_the_wall_clock_changes_nothing(
    tmp_path: Path, measure: Report, jump: float
) -> None:
    """With stalls, retries and drain under way, the session is the same as without the jump."""
    numbers = count(400)

    def run(name: str, jump: float) -> Heard:
        falls = {"point": "middle", "kind": "deaf", "words": 42}
        ends = {"point": "end", "kind": "deaf"}
        provider = parrot(faults=[falls, ends])
        return run_virtually(
            hear(tmp_path / name, numbers, provider, finalize_after={60}),
            wall=lambda now: NOON + now + (jump if now > 8.0 else 0.0),
        )

    steady, jumped = run("steady", 0.0), run("jumped", jump)
    check(jumped.log, numbers)
    assert timeless(jumped) == timeless(steady)
    assert jumped.took == pytest.approx(steady.took)
    end = jumped.house.transcripts.ends[jumped.session.id]
    assert end.duration == 40.0
    assert end.ended_at == pytest.approx(NOON + 41 + jump, abs=2)
    measure.total(
        "P20", "an hour back or forth in mid-session: {:.0f} of 2 sessions the same (virtual)", 1
    )


@pytest.mark.promise("P20", "P22")
@pytest.mark.parametrize("jump", [-3600.0, 0.0, 3600.0])
def test_a_provider_that_never_opens_does_not_hold_up_stopped(
    tmp_path: Path, measure: Report, jump: float
) -> None:
    """The limit on the wait after ``stop`` is kept, whatever becomes of the wall clock."""
    numbers = count(40)
    heard = run_virtually(
        hear(tmp_path, numbers, parrot(never_opens=True)),
        wall=lambda now: NOON + now + (jump if now > 8.0 else 0.0),
    )
    check(heard.log)
    assert [(gap["start"], gap["end"]) for gap in heard.of("gap")] == [(0.0, 4.0)]
    assert heard.recording == speech(numbers)
    assert 8 <= heard.took <= 12
    measure.most("P22", "a provider that never opens: {:.0f} s (virtual time)", heard.took)
