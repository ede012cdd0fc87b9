"""The audio log: reads return what was appended, and memory holds only a tail of it."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate.audio import AudioFormat
from sttgate.session import audio_log
from sttgate.session.audio_log import TAIL_BYTES, UNWRITTEN_BYTES, AudioLog, FinalizeRequest
from sttgate.session.spool import Spool, SpoolFolder
from tests.session.disk import FILE_SIZE_LIMIT, file_size_limit


@asynccontextmanager
async def open_log(
    path: Path, audio_format: AudioFormat | None = None
) -> AsyncIterator[tuple[AudioLog, SpoolFolder]]:
    spool = Spool(path, sync_interval=0)
    await spool.open()
    folder = await spool.create("s", b"")
    try:
        yield AudioLog(audio_format or AudioFormat(), folder.audio, spool), folder
    finally:
        await spool.run(folder.close)
        await spool.close()


async def read_all(log: AudioLog, position: int, limit: int) -> bytes:
    """Read from ``position`` to the end in pieces of at most ``limit``."""
    result = b""
    while piece := await log.read(position + len(result), limit):
        assert len(piece) <= limit
        result += piece
    return result


def in_memory(log: AudioLog) -> int:
    """Return the bytes the log itself holds."""
    return sum(map(len, log._tail))


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 700)),
        st.tuples(st.just("settle"), st.floats(0, 1)),
        st.tuples(st.just("flush"), st.just(0)),
        st.tuples(st.just("read"), st.tuples(st.floats(0, 1), st.integers(1, 200))),
        st.tuples(st.just("turn"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps=_steps, channels=st.integers(1, 3), seed=st.integers(0, 1000))
def test_reads_return_what_was_appended(
    steps: list[tuple[str, object]], channels: int, seed: int
) -> None:
    """Whatever is appended, settled, flushed and read in whatever order, every byte is in its place.

    The tail is made tiny, so that many reads fall back to the disk.
    """
    frame = 2 * channels
    source = random.Random(seed).randbytes(40 * 700)

    async def check(path: Path) -> None:
        async with open_log(path, AudioFormat(16_000, channels)) as (log, folder):
            appended = 0
            for step, value in steps:
                match step, value:
                    case "append", int(size):
                        log.append(source[appended : appended + size])
                        appended += size
                    case "settle", float(part):
                        log.settle(int(part * log.size) // frame * frame)
                    case "flush", _:
                        await folder.audio.flush()
                        assert in_memory(log) <= 256 + 700
                    case "read", (float(part), int(frames)):
                        position = int(part * log.size) // frame * frame
                        piece = await log.read(position, frames * frame)
                        assert piece == source[position : position + len(piece)]
                        assert bool(piece) == (position < log.size)
                    case _:
                        await asyncio.sleep(0)
                assert log.size == appended // frame * frame
                assert log.misaligned == (appended % frame > 0)
            assert await read_all(log, 0, 50 * frame) == source[: log.size]
            await log.finish()
            with wave.open(str(folder.audio.path)) as saved:
                assert saved.getnchannels() == channels
                assert saved.getnframes() == log.size // frame
                assert saved.readframes(1_000_000) == source[: log.size]

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as path:
        patch.setattr(audio_log, "TAIL_BYTES", 256)
        asyncio.run(check(Path(path)))


async def test_half_samples_wait_for_their_other_half(tmp_path: Path) -> None:
    """Chunks of odd sizes lose no byte and never shift the samples."""
    pcm = os.urandom(1000)
    async with open_log(tmp_path) as (log, _):
        at = 0
        for size in (1, 2, 3, 5, 7, 11, 500, 471):
            log.append(pcm[at : at + size])
            at += size
            assert log.size % 2 == 0
        assert not log.misaligned
        log.append(b"x")
        assert log.misaligned
        assert log.size == at
        assert await log.read(0, 10_000) == pcm[:at]
        log.append(b"")
        assert log.misaligned


async def test_the_clock_counts_frames(tmp_path: Path) -> None:
    """A second of audio is a second on the clock, however many channels there are."""
    async with open_log(tmp_path, AudioFormat(8000, 2)) as (log, folder):
        log.append(bytes(8000 * 4))
        assert log.seconds == 1.0
        await folder.audio.flush()
        assert log.written_seconds == 1.0


async def test_memory_is_bounded_by_the_tail(tmp_path: Path) -> None:
    """Half an hour of audio that nobody settles costs no more memory than the tail and what is unwritten."""
    chunk = os.urandom(32_000)
    async with open_log(tmp_path) as (log, folder):
        most = 0
        for number in range(1800):
            log.append(chunk)
            if number % 10 == 0:
                await folder.audio.flush()
            unwritten = folder.audio.size - folder.audio.written
            most = max(most, in_memory(log) - unwritten)
        assert most <= TAIL_BYTES + len(chunk) * 11
        await folder.audio.flush()
        assert in_memory(log) <= TAIL_BYTES + len(chunk)
        assert await log.read(0, 5) == chunk[:5]
        log.settle(log.size)
        assert in_memory(log) == 0
        assert await log.read(log.size - 100, 1000) == chunk[-100:]


async def test_settled_audio_leaves_memory_only_once_written(tmp_path: Path) -> None:
    """What is settled but not yet on disk can still be read."""
    async with open_log(tmp_path) as (log, folder):
        log.append(b"ab" * 100)
        log.settle(log.size)
        assert folder.audio.written == 0
        assert await log.read(0, 1000) == b"ab" * 100


async def test_who_appends_waits_while_the_disk_lags_far_behind(tmp_path: Path) -> None:
    """There is room until two minutes are unwritten, and again once half of that is on disk."""
    async with open_log(tmp_path) as (log, folder):
        async with asyncio.timeout(1):
            await log.room()
        piece = bytes(512 * 1024)
        for _ in range(UNWRITTEN_BYTES // len(piece) - 1):
            log.append(piece)
        async with asyncio.timeout(1):
            await log.room()
        log.append(piece)
        log.append(piece)
        waiting = asyncio.create_task(log.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        async with asyncio.timeout(10):
            await waiting
        assert folder.audio.size - folder.audio.written < UNWRITTEN_BYTES


async def test_audio_that_no_disk_takes_is_silent_in_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what a full disk refuses the latest is kept and written later, in its place; words go on."""
    limit, piece = 100_000, 2000
    monkeypatch.setattr(audio_log, "UNWRITTEN_BYTES", limit)
    monkeypatch.setattr(audio_log, "TAIL_BYTES", 10_000)
    source = os.urandom(FILE_SIZE_LIMIT + 3 * limit)
    async with open_log(tmp_path) as (log, folder):
        with file_size_limit():
            for at in range(0, len(source), piece):
                log.append(source[at : at + piece])
                if at % (limit // 2) == 0 and not folder.audio.failing:
                    with suppress(OSError):
                        await folder.audio.flush()
                elif at % (10 * piece) == 0:
                    await asyncio.sleep(0.01)
                async with asyncio.timeout(1):
                    await log.room()
                assert in_memory(log) <= limit + 10_000 + 10 * piece
            assert log.lost > 0
            # Readers still get what is kept, and silence for what is not.
            kept_from = log.size - limit + 2 * piece
            assert await read_all(log, kept_from, 9600) == source[kept_from : log.size]
            on_disk = FILE_SIZE_LIMIT - 44
            assert await read_all(log, on_disk - 100, 200) == (
                source[on_disk - 100 : on_disk]
                + bytes(log.lost)
                + source[on_disk + log.lost : log.size]
            )
        await log.finish()
        saved = folder.audio.path.read_bytes()[44:]
        assert len(saved) == log.size
        hole = slice(on_disk, on_disk + log.lost)
        assert saved == source[: hole.start] + bytes(log.lost) + source[hole.stop : log.size]
        assert log.size - hole.stop > limit - 2 * piece


async def test_the_end_of_an_outage_does_not_wait_for_more_audio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording can be finished even when all that was kept came in one piece."""
    monkeypatch.setattr(audio_log, "UNWRITTEN_BYTES", 1000)
    async with open_log(tmp_path) as (log, folder):
        with file_size_limit():
            log.append(bytes(FILE_SIZE_LIMIT))
            with suppress(OSError):
                await folder.audio.flush()
            assert folder.audio.failing
            log.append(b"ab" * 5000)
        async with asyncio.timeout(5):
            await log.finish()
        assert folder.audio.path.stat().st_size == 44 + log.size


async def test_waiting_ends_with_any_change(tmp_path: Path) -> None:
    """Audio, a finalize and the end each wake everyone who waits."""
    async with open_log(tmp_path) as (log, _):
        changes: tuple[Callable[[], None], ...] = (
            lambda: log.append(b"ab"),
            lambda: log.finalize(FinalizeRequest(0, None)),
            log.end,
        )
        for change in changes:
            waiting = [asyncio.create_task(log.wait()) for _ in range(3)]
            await asyncio.sleep(0)
            change()
            async with asyncio.timeout(5):
                await asyncio.gather(*waiting)
        assert not log._waiters


async def test_a_cancelled_wait_leaves_nothing(tmp_path: Path) -> None:
    """Who gives up waiting is forgotten."""
    async with open_log(tmp_path) as (log, _):
        waiting = asyncio.create_task(log.wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert not log._waiters


async def test_nothing_is_taken_after_the_end(tmp_path: Path) -> None:
    """The end is the end; the half sample that waited for its other half is not part of the audio."""
    async with open_log(tmp_path) as (log, folder):
        log.append(b"abc")
        log.end()
        log.append(b"def")
        assert log.size == 2
        assert await log.ended_within(0.01)
        await log.finish()
        assert folder.audio.path.read_bytes()[44:] == b"ab"


async def test_a_log_that_does_not_end_is_waited_for(tmp_path: Path) -> None:
    """Waiting for the end gives up in time, and comes back at once when the end comes."""
    async with open_log(tmp_path) as (log, _):
        log.append(b"ab")
        assert not await log.ended_within(0.02)
        asyncio.get_running_loop().call_later(0.02, log.end)
        async with asyncio.timeout(5):
            assert await log.ended_within(60)


async def test_an_unfinished_file_plays_to_its_end(tmp_path: Path) -> None:
    """Before the true size is known, the header says: until the end of the file."""
    async with open_log(tmp_path) as (log, folder):
        log.append(b"ab" * 50)
        await folder.audio.flush()
        with wave.open(str(folder.audio.path)) as unfinished:
            assert unfinished.readframes(1000) == b"ab" * 50


async def test_a_log_goes_on_where_a_dead_process_left_it(tmp_path: Path) -> None:
    """A claimed file is neither given a second header nor read back into memory."""
    spool = Spool(tmp_path, sync_interval=0)
    await spool.open()
    folder = await spool.create("s", b"")
    AudioLog(AudioFormat(), folder.audio, spool).append(b"ab" * 10)
    await folder.audio.flush()
    await spool.run(folder.close)
    found = await spool.claim("s")
    assert found is not None
    log = AudioLog(AudioFormat(), found.audio, spool)
    assert log.size == 20
    assert in_memory(log) == 0
    log.append(b"cd")
    assert await read_all(log, 0, 7) == b"ab" * 10 + b"cd"
    await log.finish()
    with wave.open(str(found.audio.path)) as saved:
        assert saved.readframes(100) == b"ab" * 10 + b"cd"
    await spool.run(found.close)
    await spool.close()
