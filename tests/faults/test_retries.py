"""When a stream is tried again, and who is spared; in virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from sttgate.session import entries
from sttgate.session.params import SessionParams
from tests.faults.engines.parrot import Parrot
from tests.faults.promises import Report
from tests.faults.sessions import hear, parrot
from tests.faults.speech import check, count, plain, speech, text
from tests.faults.virtual import run_virtually
from tests.session.engines import House, follow_until, open_house


@pytest.mark.promise("P6")
def test_passing_faults_are_tried_again_and_again(tmp_path: Path, measure: Report) -> None:
    """The first retry comes at once, the next with jitter, and a dead chain is asked every 15 s."""
    numbers = count(1200)
    refused = {"point": "connect", "kind": "break"}
    provider = parrot(faults=[{"point": "middle", "kind": "break", "words": 42}, *[refused] * 20])
    heard = run_virtually(hear(tmp_path, numbers, provider))
    check(heard.log, numbers)
    first = provider.begun[1] - provider.fell[0]
    waits = [after - before for before, after in pairwise(provider.begun[1:])]
    pauses = [wait for wait in waits if wait > 5.0]
    assert first <= 0.11
    assert all(wait <= 15.1 for wait in pauses)
    assert max(wait for wait in waits if wait <= 5.0) > 0.1
    assert len(heard.of("error")) == 1
    measure.say(
        "P6",
        f"again after {first:.2f} s, then after {min(waits):.2f} to "
        f"{max(w for w in waits if w <= 5.0):.2f} s, a chain that failed {len(pauses)} times after "
        f"{max(pauses):.0f} s (virtual time)",
    )


@pytest.mark.promise("P6")
def test_progress_makes_a_provider_new(tmp_path: Path) -> None:
    """A provider that settles words between its drops is never given up."""
    numbers = count(600)
    provider = parrot(faults=[{"point": "middle", "kind": "break", "words": 6}] * 60)
    heard = run_virtually(hear(tmp_path, numbers, provider))
    check(heard.log, numbers)
    assert provider.streams > 50
    assert not heard.of("error")


@pytest.mark.promise("P6")
@pytest.mark.parametrize("kind", ["auth", "reject"])
def test_a_refusal_is_not_repeated(tmp_path: Path, kind: str) -> None:
    """What the provider understood and refuses goes to the next one at once."""
    numbers = count(100)
    first, second = parrot(always={"point": "connect", "kind": kind}), parrot()
    heard = run_virtually(hear(tmp_path, numbers, first, second))
    check(heard.log, numbers)
    assert (first.streams, second.streams) == (1, 1)


async def _two_in_a_row(folder: Path, *providers: Parrot) -> None:
    async with open_house(folder, *providers) as house:
        for _ in range(2):
            await _say(house, 30)


async def _say(house: House, words: int) -> None:
    session = await house.gateway.open_session(SessionParams(protocol="test"))
    following = asyncio.create_task(follow_until(session, entries.Stopped, timeout=1000))
    session.append(speech(count(words)))
    await asyncio.sleep(1.0)
    session.stop()
    assert text(plain(await following)) == text_of(words)


def text_of(words: int) -> str:
    """Return what is said when so many words were heard."""
    return " ".join(f"w{number}" for number in count(words))


@pytest.mark.promise("P6")
def test_a_bad_key_keeps_the_others_away(tmp_path: Path, measure: Report) -> None:
    """One session finds out; the next one goes to the next provider directly."""
    first, second = parrot(always={"point": "connect", "kind": "auth"}), parrot()
    run_virtually(_two_in_a_row(tmp_path, first, second))
    assert (first.streams, second.streams) == (1, 2)
    measure.say("P6", "a bad key: asked once, then no session for the cool-down")


@pytest.mark.promise("P6", "P7")
def test_a_provider_that_works_again_is_used_again(tmp_path: Path) -> None:
    """After its cool-down one stream probes, and its success brings all others back."""

    async def outage() -> None:
        async with open_house(tmp_path, first, second) as house:
            await _say(house, 30)
            await _say(house, 30)
            assert (first.streams, second.streams) == (3, 2)
            await asyncio.sleep(6.0)
            for _ in range(3):
                await _say(house, 30)

    first, second = parrot(faults=[{"point": "connect", "kind": "break"}] * 3), parrot()
    run_virtually(outage())
    assert (first.streams, second.streams) == (6, 2)
