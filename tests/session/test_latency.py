"""Histograms, when audio came in, and what sessions measure with both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from sttgate.events import ProviderEvent, Transcript
from sttgate.provider import AudioInput, StreamParams
from sttgate.session import entries
from sttgate.session.arrivals import Arrivals
from sttgate.session.histogram import Histogram
from sttgate.session.params import SessionParams
from tests.session.engines import Speaker, follow_until, open_house, say, speech

RATE = 32_000  # bytes of audio per second
FRAME = RATE // 10


class TestHistogram:
    def test_counts_by_bucket(self) -> None:
        """A value counts in the first bucket whose bound it does not exceed, and in all after it."""
        histogram = Histogram((1.0, 2.0))
        for value in (0.5, 1.0, 1.5, 7.0):
            histogram.observe(value)
        assert list(histogram.cumulative()) == [(1.0, 2), (2.0, 3), (float("inf"), 4)]
        assert (histogram.count, histogram.sum) == (4, 10.0)

    def test_quantile_of_nothing(self) -> None:
        """Without values there is no quantile."""
        assert Histogram((1.0,)).quantile(0.5) is None

    @pytest.mark.parametrize(
        ("q", "expected"), [(0.0, 1.0), (0.25, 1.5), (0.5, 2.0), (0.75, 3.0), (1.0, 4.0)]
    )
    def test_quantile_lies_evenly_in_its_bucket(self, q: float, expected: float) -> None:
        """Quantiles go straight from one bound to the next, like PromQL's."""
        histogram = Histogram((1.0, 2.0, 4.0))
        for value in (1.1, 1.9, 2.1, 3.9):
            histogram.observe(value)
        assert histogram.quantile(q) == pytest.approx(expected)

    def test_quantile_beyond_the_last_bound(self) -> None:
        """What exceeds every bound is said to be at the last one."""
        histogram = Histogram((1.0, 2.0))
        histogram.observe(100.0)
        assert histogram.quantile(0.95) == 2.0


class TestArrivals:
    def test_real_time(self) -> None:
        """Audio that comes in real time is known to have come when it did."""
        now = 100.0
        arrivals = Arrivals(RATE, lambda: now)
        for frame in range(50):
            now += 0.1
            if (size := (frame + 1) * FRAME) >= arrivals.due:
                arrivals.note(size - FRAME, size)
        for frame in (1, 7, 25, 50):
            assert arrivals.at(frame * FRAME) == pytest.approx(100.0 + frame * 0.1, abs=0.01)

    def test_all_at_once(self) -> None:
        """A file sent in one piece came when it came, not over the time it lasts."""
        now = 10.0
        arrivals = Arrivals(RATE, lambda: now)
        arrivals.note(0, 600 * RATE)
        now = 12.0
        assert arrivals.at(1) == arrivals.at(300 * RATE) == arrivals.at(600 * RATE) == 10.0

    def test_a_pause_of_the_sender(self) -> None:
        """Audio before a pause does not count as having come after it."""
        now = 10.0
        arrivals = Arrivals(RATE, lambda: now)
        arrivals.note(0, RATE)
        now = 20.0
        assert arrivals.at(RATE) == 10.0
        arrivals.note(RATE, 2 * RATE)
        assert arrivals.at(RATE) == 10.0
        assert arrivals.at(2 * RATE) == 20.0

    def test_never_in_the_future(self) -> None:
        """Nothing came later than now."""
        arrivals = Arrivals(RATE, lambda: 10.0)
        arrivals.note(0, FRAME)
        assert arrivals.at(100 * RATE) == 10.0

    def test_what_another_process_appended(self) -> None:
        """When audio came that was there at the start is not known."""
        arrivals = Arrivals(RATE, lambda: 10.0)
        assert arrivals.at(RATE) is None
        arrivals.note(5 * RATE, 6 * RATE)
        assert arrivals.at(4 * RATE) is None
        assert arrivals.at(6 * RATE) == 10.0

    def test_settled_audio_is_forgotten(self) -> None:
        """Memory does not grow with the length of a session, settled or not."""
        for settles in (True, False):
            now = 0.0
            arrivals = Arrivals(RATE, lambda: now)  # noqa: B023 - called within this turn
            for second in range(3600):
                now += 1.0
                arrivals.note(second * RATE, (second + 1) * RATE)
                if settles:
                    arrivals.settle((second + 1) * RATE)
            assert arrivals.at(60 * RATE) is None
            assert arrivals.at(3598 * RATE) == pytest.approx(3598.0)
            assert len(arrivals) <= (12 if settles else 256)


class Late(Speaker):
    """Takes its time to connect, and says one interim and one final about its first second."""

    CONNECTS = 0.3
    THINKS = 0.4

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield both."""
        heard = 0
        async for chunk in audio:
            if not heard:
                await asyncio.sleep(self.CONNECTS)
            heard += len(chunk) if isinstance(chunk, bytes) else 0
            if heard >= RATE:
                break
        await asyncio.sleep(self.THINKS)
        yield Transcript(text="hello", start=0.5, end=1.0, is_final=False)
        await asyncio.sleep(self.THINKS)
        yield Transcript(text="hello", start=0.0, end=1.0, is_final=True, endpoint=True)
        async for _ in audio:
            pass


async def test_latencies_of_a_session(tmp_path: Path) -> None:
    """Connecting, the first interim and the final are measured from where the audio came in."""
    provider = Late()
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech([1] * 10))
        await asyncio.wait_for(follow_until(session, entries.Transcript), 10)
        await asyncio.wait_for(follow_until(session, entries.UtteranceEnd), 10)
        session.stop()
        await follow_until(session, entries.Stopped)
        tally = house.gateway.tally
    connect = tally.latency["connect", "p1"]
    interim = tally.latency["first_interim", "p1"]
    final = tally.latency["final", "p1"]
    assert (connect.count, interim.count, final.count) == (1, 1, 1)
    assert provider.CONNECTS <= connect.sum < provider.CONNECTS + 2
    assert provider.CONNECTS + provider.THINKS <= interim.sum < final.sum
    assert interim.sum + provider.THINKS * 0.9 <= final.sum < 5
    assert (p95 := final.quantile(0.95)) is not None
    assert p95 > 0.5


async def test_one_first_interim_per_utterance(tmp_path: Path) -> None:
    """Of each utterance the first interim counts, and each final."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(range(1, 31)))
        session.stop()
        log = await follow_until(session, entries.Stopped)
        tally = house.gateway.tally
    transcripts = [entry for entry in log if isinstance(entry, entries.Transcript)]
    finals = [entry for entry in transcripts if entry.is_final]
    assert tally.latency["first_interim", "p1"].count == len({e.utterance_id for e in transcripts})
    assert tally.latency["final", "p1"].count == len(finals) == tally.segments
    assert tally.durations["p1"].count == 1


async def test_store_writes_are_timed_once_they_work(tmp_path: Path) -> None:
    """Each operation on a store is timed under its name."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(range(1, 11)))
        session.stop()
        await follow_until(session, entries.Stopped)
        writes = {op: each.count for op, each in house.gateway.tally.store_writes.items()}
    assert writes.keys() == {"begin", "utterance", "end", "recording"}
    assert writes["begin"] == writes["end"] == writes["recording"] == 1
    assert writes["utterance"] >= 2
