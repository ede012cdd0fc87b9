"""The feed: the audio of a stream, in the provider's format, with finalizes where they belong."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sttgate.audio import AudioFormat
from sttgate.provider import Control
from sttgate.session import audio_log
from sttgate.session.audio_log import AudioLog, FinalizeRequest
from sttgate.session.feed import MAX_CHUNK, Feed
from sttgate.session.spool import Spool, SpoolFile
from tests.test_audio import DITHER, loudest_difference


@asynccontextmanager
async def open_log(
    path: Path, audio_format: AudioFormat | None = None
) -> AsyncIterator[tuple[AudioLog, SpoolFile]]:
    spool = Spool(path, sync_interval=0)
    await spool.open()
    folder = await spool.create("s", b"")
    try:
        yield AudioLog(audio_format or AudioFormat(), folder.audio, spool), folder.audio
    finally:
        await spool.run(folder.close)
        await spool.close()


def make_feed(
    log: AudioLog,
    start: int = 0,
    *,
    channel: int | None = None,
    sample_rate: int = 16_000,
    max_speed: float | None = None,
) -> Feed:
    return Feed(log, start, channel=channel, sample_rate=sample_rate, max_speed=max_speed)


async def drain(feed: Feed) -> list[bytes | Control]:
    """Return everything up to the end."""
    async with asyncio.timeout(20):
        return [item async for item in feed]


def joined(items: list[bytes | Control]) -> bytes:
    return b"".join(item for item in items if isinstance(item, bytes))


def tone(seconds: float, rate: int, hertz: float = 440.0) -> NDArray[np.int16]:
    """Return a sine at a third of full scale that begins at its phase zero."""
    times = np.arange(round(seconds * rate)) / rate
    return (10_000 * np.sin(2 * np.pi * hertz * times)).astype("<i2")


async def test_chunks_are_whole_short_and_never_empty(tmp_path: Path) -> None:
    """Whatever sizes arrive, the provider gets whole samples, at most 0.3 s at a time."""
    pcm = random.Random(1).randbytes(32_000)
    async with open_log(tmp_path) as (log, _):
        at = 0
        for size in (1, 3, 20_001, 11_995):
            log.append(pcm[at : at + size])
            at += size
        log.end()
        feed = make_feed(log)
        items = await drain(feed)
        assert joined(items) == pcm
        for item in items:
            assert isinstance(item, bytes)
            assert 0 < len(item) <= MAX_CHUNK * 32_000
            assert len(item) % 2 == 0
        assert feed.exhausted
        assert feed.position == log.size
        assert await feed.receive() is None
        assert await feed.receive() is None


async def test_a_feed_starts_where_it_is_told(tmp_path: Path) -> None:
    """A stream that replays gets the audio from its start, others are not disturbed."""
    pcm = random.Random(2).randbytes(10_000)
    async with open_log(tmp_path) as (log, _):
        log.append(pcm)
        log.end()
        first, second = make_feed(log), make_feed(log, 4000)
        assert joined(await drain(second)) == pcm[4000:]
        assert joined(await drain(first)) == pcm


async def test_the_end_comes_only_after_all_audio(tmp_path: Path) -> None:
    """A feed that waits is woken by audio and by the end."""
    async with open_log(tmp_path) as (log, _):
        feed = make_feed(log)
        waiting = asyncio.create_task(feed.receive())
        await asyncio.sleep(0)
        log.append(b"ab")
        assert await waiting == b"ab"
        waiting = asyncio.create_task(feed.receive())
        await asyncio.sleep(0)
        assert not waiting.done()
        log.end()
        assert await waiting is None


@pytest.mark.parametrize(("channel", "expected"), [(0, 100), (1, -300), (2, 500), (None, 100)])
async def test_one_channel_or_all_mixed(tmp_path: Path, channel: int | None, expected: int) -> None:
    """A feed has one channel of the audio, or the mean of all."""
    frames = np.tile(np.array([100, -300, 500], "<i2"), 1000)
    async with open_log(tmp_path, AudioFormat(16_000, 3)) as (log, _):
        log.append(frames.tobytes())
        log.end()
        heard = np.frombuffer(joined(await drain(make_feed(log, channel=channel))), "<i2")
        assert heard.tolist() == [expected] * 1000


async def test_mixing_full_scale_does_not_overflow(tmp_path: Path) -> None:
    """Two channels at the limit mix to the limit."""
    frames = np.tile(np.array([32767, 32767, -32768, -32768], "<i2"), 500)
    async with open_log(tmp_path, AudioFormat(16_000, 2)) as (log, _):
        log.append(frames.tobytes())
        log.end()
        heard = np.frombuffer(joined(await drain(make_feed(log))), "<i2")
        assert heard.tolist() == [32767, -32768] * 500


@pytest.mark.parametrize("source", [8000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("target", [16_000, 24_000])
async def test_resampling_keeps_time(tmp_path: Path, source: int, target: int) -> None:
    """Resampled audio is as long as the original, and each moment stays where it was."""
    original = tone(1.7, source)
    async with open_log(tmp_path, AudioFormat(source)) as (log, _):
        for piece in np.array_split(original, 23):
            log.append(piece.tobytes())
        log.end()
        heard = np.frombuffer(joined(await drain(make_feed(log, sample_rate=target))), "<i2")
    expected = tone(1.7, target)
    assert abs(len(heard) - len(expected)) <= 1
    middle = slice(target // 10, int(1.6 * target))
    difference = heard[middle].astype(float) - expected[middle].astype(float)
    assert np.abs(difference).max() < 200  # of 10 000: not a sample early or late


@pytest.mark.parametrize(("source", "target"), [(16_000, 16_000), (48_000, 16_000), (8000, 16_000)])
async def test_a_finalize_comes_after_all_audio_before_it(
    tmp_path: Path, source: int, target: int
) -> None:
    """A finalize stands in line exactly where it was asked, what the resampler held back before it."""
    async with open_log(tmp_path, AudioFormat(source)) as (log, _):
        original = tone(3.0, source)
        requests = []
        for number, piece in enumerate(np.array_split(original, 30)):
            log.append(piece.tobytes())
            if number in {4, 5, 17}:
                requests.append(FinalizeRequest(log.size, number, {0}))
                log.finalize(requests[-1])
        log.end()
        feed = make_feed(log, sample_rate=target)
        items = await drain(feed)
        positions, heard = [], 0
        for item in items:
            if item is Control.FINALIZE:
                positions.append(heard)
            else:
                assert isinstance(item, bytes)
                heard += len(item)
        expected = [r.position / 2 / source for r in requests]
        assert [p / 2 / target for p in positions] == pytest.approx(expected, abs=2 / target)
        assert heard / 2 / target == pytest.approx(3.0, abs=4 / target)


async def test_a_finalize_at_the_end_of_the_audio_is_delivered(tmp_path: Path) -> None:
    """A finalize wakes a waiting feed; one asked right before the end is not lost."""
    async with open_log(tmp_path) as (log, _):
        feed = make_feed(log)
        log.append(b"abcd")
        assert await feed.receive() == b"abcd"
        waiting = asyncio.create_task(feed.receive())
        await asyncio.sleep(0)
        log.finalize(FinalizeRequest(log.size, 1, {0}))
        assert await waiting is Control.FINALIZE
        log.finalize(FinalizeRequest(log.size, 2, {0}))
        log.end()
        assert await drain(feed) == [Control.FINALIZE]


async def test_each_channel_has_its_finalizes(tmp_path: Path) -> None:
    """Each channel's feed gets a finalize once; what its channel has answered it gets no more."""
    async with open_log(tmp_path, AudioFormat(16_000, 2)) as (log, _):
        log.append(bytes(400))
        log.finalize(FinalizeRequest(log.size, 1, {0, 1}))
        log.finalize(FinalizeRequest(log.size, 2, {1}))
        log.end()
        for channel, count in ((0, 1), (1, 2)):
            items = await drain(make_feed(log, channel=channel))
            assert items.count(Control.FINALIZE) == count
        # A stream that replays from behind it still owes the answer.
        late = await drain(make_feed(log, 400, channel=1))
        assert late == [Control.FINALIZE, Control.FINALIZE]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 4000), min_size=1, max_size=25),
    marks=st.sets(st.integers(0, 24)),
    rates=st.sampled_from([(16_000, 16_000), (48_000, 16_000), (8000, 24_000)]),
    start=st.floats(0, 1),
)
def test_a_cancelled_wait_loses_nothing(
    seed: int, sizes: list[int], marks: set[int], rates: tuple[int, int], start: float
) -> None:
    """A provider may give up waiting at any moment, and later gets what it would have got."""
    chance = random.Random(seed)
    source, target = rates

    async def check(path: Path) -> None:
        async with open_log(path, AudioFormat(source)) as (log, file):
            appending = asyncio.create_task(append(log, file))
            await asyncio.sleep(0)
            first = int(start * log.size) // 2 * 2
            impatient: list[bytes | Control] = []
            feed = make_feed(log, first, sample_rate=target)
            while not feed.exhausted:
                receiving = asyncio.create_task(feed.receive())
                for _ in range(chance.randrange(6)):
                    await asyncio.sleep(0)
                receiving.cancel()
                await asyncio.wait({receiving})
                if not receiving.cancelled() and (item := receiving.result()) is not None:
                    impatient.append(item)
            await appending
            patient = await drain(make_feed(log, first, sample_rate=target))
            # Chunks differ, since the log grows meanwhile; what they say does not.
            got, expected = split(impatient), split(patient)
            if source == target:
                assert got == expected
            else:  # the resampler's dither is another one each time
                assert [len(part) for part in got] == [len(part) for part in expected]
                for one, other in zip(got, expected, strict=True):
                    assert loudest_difference(one, other) <= DITHER

    async def append(log: AudioLog, file: SpoolFile) -> None:
        for number, size in enumerate(sizes):
            log.append(chance.randbytes(size))
            if number in marks:
                log.finalize(FinalizeRequest(log.size, number, {0}))
            if chance.random() < 0.3:
                await file.flush()
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        log.end()

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as path:
        patch.setattr(audio_log, "TAIL_BYTES", 512)  # so that many reads go to the disk
        asyncio.run(check(Path(path)))


def split(items: list[bytes | Control]) -> list[bytes]:
    """Return the audio between the finalizes."""
    parts = [b""]
    for item in items:
        if isinstance(item, bytes):
            parts[-1] += item
        else:
            parts.append(b"")
    return parts


async def test_a_backlog_is_replayed_at_the_providers_pace(tmp_path: Path) -> None:
    """Three seconds of backlog at five times real time take about half a second."""
    async with open_log(tmp_path) as (log, _):
        log.append(bytes(3 * 32_000))
        log.end()
        began = time.monotonic()
        items = await drain(make_feed(log, max_speed=5.0))
        took = time.monotonic() - began
        assert len(joined(items)) == 3 * 32_000
        # The last half second counts as live; the first chunk goes out at once.
        assert 0.35 < took < 3.0


async def test_a_provider_without_a_limit_reads_as_fast_as_it_can(tmp_path: Path) -> None:
    """Ten minutes of backlog are read in far less than ten minutes, mostly from disk."""
    async with open_log(tmp_path) as (log, file):
        piece = random.Random(3).randbytes(32_000)
        for number in range(600):
            log.append(piece)
            if number % 50 == 0:
                await file.flush()
        log.end()
        began = time.monotonic()
        assert len(joined(await drain(make_feed(log)))) == 600 * 32_000
        assert time.monotonic() - began < 15.0


async def test_live_audio_is_not_held_back(tmp_path: Path) -> None:
    """The pace is for backlogs: what arrives in real time is handed on as it comes."""
    async with open_log(tmp_path) as (log, _):
        feed = make_feed(log, max_speed=1.0)
        for _ in range(20):
            log.append(bytes(640))
            async with asyncio.timeout(1.0):
                assert await feed.receive() == bytes(640)
