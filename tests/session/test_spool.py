"""The spool: what is appended is on disk soon, in order, whatever the disk does meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate.audio import WAV_HEADER_BYTES, AudioFormat
from sttgate.session import entries
from sttgate.session.audio_log import AudioLog
from sttgate.session.event_log import EventLog
from sttgate.session.spool import AUDIO_FILE, EVENTS_FILE, META_FILE, Spool, SpoolFolder
from sttgate.wav import open_wav
from tests.session.disk import FILE_SIZE_LIMIT, file_size_limit
from tests.session.engines import eventually


@asynccontextmanager
async def open_spool(path: Path, sync_interval: float = 0) -> AsyncIterator[Spool]:
    spool = Spool(path, sync_interval)
    await spool.open()
    try:
        yield spool
    finally:
        await spool.close()


@asynccontextmanager
async def open_folder(
    path: Path, sync_interval: float = 0
) -> AsyncIterator[tuple[Spool, SpoolFolder]]:
    async with open_spool(path, sync_interval) as spool:
        folder = await spool.create("s", b"meta")
        try:
            yield spool, folder
        finally:
            await spool.run(folder.close)


_appends = st.lists(
    st.tuples(
        st.sampled_from(["audio", "events"]),
        st.binary(max_size=40),
        st.booleans(),
        st.sampled_from([None, 0.0, 0.002]),
    ),
    max_size=30,
)


@settings(max_examples=30, deadline=None)
@given(_appends)
def test_bytes_lie_in_order_whatever_is_urgent(
    appends: list[tuple[str, bytes, bool, float | None]],
) -> None:
    """Each file has its bytes in the order of the appends, lazy and urgent ones mixed."""

    async def check(path: Path) -> None:
        expected = {"audio": b"", "events": b""}
        async with open_folder(path) as (_, folder):
            files = {"audio": folder.audio, "events": folder.events}
            for name, data, now, wait in appends:
                files[name].append(data, now=now)
                expected[name] += data
                if wait is not None:
                    await asyncio.sleep(wait)
            for file in files.values():
                await file.flush()
                assert file.size == file.written
        assert (path / "s" / AUDIO_FILE).read_bytes() == expected["audio"]
        assert (path / "s" / EVENTS_FILE).read_bytes() == expected["events"]

    with tempfile.TemporaryDirectory() as path:
        asyncio.run(check(Path(path)))


async def test_lazy_bytes_are_written_soon(tmp_path: Path) -> None:
    """What nobody is in a hurry for is on disk within a quarter of a second or so."""
    async with open_folder(tmp_path) as (_, folder):
        folder.audio.append(b"abc")
        began = time.monotonic()
        await eventually(lambda: folder.audio.written == 3, timeout=5.0)
        assert time.monotonic() - began < 2.0
        assert (tmp_path / "s" / AUDIO_FILE).read_bytes() == b"abc"


async def test_urgent_bytes_do_not_wait_for_the_interval(tmp_path: Path) -> None:
    """Hundred urgent appends, each awaited, take far less than hundred flush intervals."""
    async with open_folder(tmp_path) as (_, folder):
        began = time.monotonic()
        for _ in range(100):
            folder.events.append(b"x", now=True)
            await folder.events.flush()
        assert time.monotonic() - began < 5.0
        assert folder.events.written == 100


async def test_closing_writes_what_is_left(tmp_path: Path) -> None:
    """Closing the spool loses nothing that was appended, of however many pieces."""
    pieces = [bytes([n % 256]) for n in range(5000)]
    spool = Spool(tmp_path)
    await spool.open()
    folder = await spool.create("s", b"")
    for piece in pieces:
        folder.audio.append(piece)
    await spool.close()
    folder.close()
    assert (tmp_path / "s" / AUDIO_FILE).read_bytes() == b"".join(pieces)


async def test_written_bytes_can_be_read_and_replaced(tmp_path: Path) -> None:
    """Reading stops at what is written; replacing leaves the length and later appends alone."""
    async with open_folder(tmp_path) as (spool, folder):
        folder.audio.append(b"0123456789")
        await folder.audio.flush()
        folder.audio.append(b"pending")
        assert await spool.run(lambda: folder.audio.read(8, 100)) == b"89"
        assert await spool.run(lambda: folder.audio.read(17, 100)) == b""
        await spool.run(lambda: folder.audio.overwrite(0, b"ab"))
        await folder.audio.flush()
        assert (tmp_path / "s" / AUDIO_FILE).read_bytes() == b"ab23456789pending"


async def test_files_are_private_and_meta_is_kept(tmp_path: Path) -> None:
    """Nobody but the user of the process may read a live session."""
    async with open_folder(tmp_path):
        folder = tmp_path / "s"
        assert folder.stat().st_mode & 0o777 == 0o700
        for name in (AUDIO_FILE, EVENTS_FILE, META_FILE):
            assert (folder / name).stat().st_mode & 0o777 == 0o600
        assert (folder / META_FILE).read_bytes() == b"meta"


async def test_a_live_folder_cannot_be_claimed(tmp_path: Path) -> None:
    """A folder belongs to whoever made it until that closes it; then what it holds is found again."""
    async with open_spool(tmp_path) as spool:
        folder = await spool.create("s", b"meta")
        folder.audio.append(b"audio")
        await folder.audio.flush()
        assert await spool.left_behind() == ["s"]
        assert await spool.claim("s") is None
        await spool.run(folder.close)
        found = await spool.claim("s")
        assert found is not None
        assert (found.meta, found.audio.size, found.audio.written) == (b"meta", 5, 5)
        found.audio.append(b" more")
        await found.audio.flush()
        assert (tmp_path / "s" / AUDIO_FILE).read_bytes() == b"audio more"
        await spool.remove(found)
        await spool.run(found.close)
        assert await spool.left_behind() == []
        assert await spool.claim("s") is None


async def test_a_folder_is_never_made_twice(tmp_path: Path) -> None:
    """A second session of the same id is refused and leaves the first one's files as they are."""
    async with open_folder(tmp_path) as (spool, folder):
        folder.audio.append(b"mine")
        await folder.audio.flush()
        with pytest.raises(FileExistsError):
            await spool.create("s", b"other")
        assert (tmp_path / "s" / AUDIO_FILE).read_bytes() == b"mine"
        assert (tmp_path / "s" / META_FILE).read_bytes() == b"meta"


async def test_syncing_goes_on_beside_the_writes(tmp_path: Path) -> None:
    """With a short sync interval files are written, closed and removed as ever."""
    async with open_spool(tmp_path, sync_interval=0.01) as spool:
        for number in range(5):
            folder = await spool.create(str(number), b"")
            for _ in range(10):
                folder.events.append(b"x" * 100, now=True)
                await folder.events.flush()
                await asyncio.sleep(0.005)
            assert folder.events.written == 1000
            await spool.run(folder.close)
            await spool.remove(folder)
    assert list(tmp_path.iterdir()) == []


# --- a disk that refuses --------------------------------------------------------------------------


async def test_a_write_cut_short_is_finished_later(tmp_path: Path) -> None:
    """When the kernel takes half of a write, the other half follows in its place once it can."""
    data = os.urandom(2 * FILE_SIZE_LIMIT)
    first, second = FILE_SIZE_LIMIT - 400, FILE_SIZE_LIMIT + 1000
    async with open_folder(tmp_path) as (spool, folder):
        with file_size_limit():
            folder.audio.append(data[:first])
            await folder.audio.flush()
            folder.audio.append(data[first:second])
            with pytest.raises(OSError, match="too large") as caught:
                await folder.audio.flush()
            assert caught.value.errno == errno.EFBIG
            assert (folder.audio.written, folder.audio.failing) == (FILE_SIZE_LIMIT, True)
            assert spool.error is not None
            folder.audio.append(data[second:])
        assert folder.audio.unwritten() == data[FILE_SIZE_LIMIT:]
        await eventually(lambda: folder.audio.written == len(data), timeout=10.0)
        assert not folder.audio.failing
        assert spool.error is None
        assert (tmp_path / "s" / AUDIO_FILE).read_bytes() == data


async def test_closing_does_not_wait_for_a_disk_that_refuses(tmp_path: Path) -> None:
    """A disk that stays full does not keep the process from ending."""
    spool = Spool(tmp_path)
    await spool.open()
    folder = await spool.create("s", b"")
    with file_size_limit():
        folder.audio.append(bytes(FILE_SIZE_LIMIT + 1))
        await eventually(lambda: folder.audio.failing, timeout=5.0)
        async with asyncio.timeout(5.0):
            await spool.close()
    folder.close()
    assert (tmp_path / "s" / AUDIO_FILE).stat().st_size == FILE_SIZE_LIMIT


async def test_a_session_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    """When there is no room even for a new session's files, no folder or descriptor stays behind."""
    async with open_spool(tmp_path) as spool:
        with file_size_limit(), pytest.raises(OSError, match="too large"):
            await spool.create("s", bytes(FILE_SIZE_LIMIT + 1))
        assert await spool.left_behind() == []
        folder = await spool.create("s", b"now there is room")
        await spool.run(folder.close)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield an empty disk of 1 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def _fill(path: Path) -> None:
    """Write until the disk is full."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


async def test_a_full_disk_delays_and_loses_nothing(small_disk: Path) -> None:
    """While the disk is full finals are still shown; with room again all is written by itself."""
    ballast = small_disk / "ballast"
    async with open_folder(small_disk / "spool") as (spool, folder):
        audio = AudioLog(AudioFormat(), folder.audio, spool)
        log = EventLog(folder.events, spool)
        reader = log.reader(0, lambda: None)
        _fill(ballast)
        pcm, seen = b"", []
        for number in range(20):
            piece = os.urandom(3200)
            pcm += piece
            audio.append(piece)
            log.append(entries.Marked(t=number / 10, label="x" * 400))
            await asyncio.sleep(0.02)
            seen += [entry.seq for entry in await reader.take()]
        await eventually(lambda: folder.audio.failing and folder.events.failing, timeout=10.0)
        seen += [entry.seq for entry in await reader.take()]
        assert seen == list(range(1, 21))
        ballast.unlink()
        await eventually(lambda: folder.audio.written == folder.audio.size, timeout=10.0)
        await eventually(lambda: folder.events.written == folder.events.size, timeout=10.0)
        assert spool.error is None
        reader.close()
        saved = (small_disk / "spool" / "s" / AUDIO_FILE).read_bytes()
        assert saved[WAV_HEADER_BYTES:] == pcm
        lines = (small_disk / "spool" / "s" / EVENTS_FILE).read_bytes().splitlines()
        assert len(lines) == 20


# --- a process that dies --------------------------------------------------------------------------

_CHILD = """
import asyncio, sys
from pathlib import Path
from sttgate.audio import AudioFormat
from sttgate.session.audio_log import AudioLog
from sttgate.session.spool import Spool

async def main():
    spool = Spool(Path(sys.argv[1]))
    await spool.open()
    folder = await spool.create("s", b"")
    log = AudioLog(AudioFormat(), folder.audio, spool)
    while True:
        log.append(bytes([1, 0]) * 320)
        print(log.size, flush=True)
        await asyncio.sleep(0.02)

asyncio.run(main())
"""


def _last_report(output: int, seconds: float) -> int:
    """Read what the child says for ``seconds``; return the last number."""
    deadline, data = time.monotonic() + seconds, b""
    while (left := deadline - time.monotonic()) > 0:
        if select.select([output], [], [], left)[0]:
            data += os.read(output, 65536)
    return int(data.rsplit(b"\n", 2)[1])


@pytest.mark.parametrize("seconds", [0.55, 0.9, 1.3])
def test_kill_costs_a_quarter_of_a_second_and_the_file_plays(
    tmp_path: Path, seconds: float
) -> None:
    """After kill -9 all audio but the last ~250 ms lies in a WAV file that needs no repair."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path)], stdout=subprocess.PIPE, bufsize=0
    )
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()
        appended = _last_report(child.stdout.fileno(), seconds)
        child.send_signal(signal.SIGKILL)
        child.wait()
        # What it still appended between our last look and its death.
        rest = child.stdout.read().split()
    appended = int(rest[-1]) if rest else appended
    path = tmp_path / "s" / AUDIO_FILE
    with wave.open(str(path)) as plain:
        assert (plain.getframerate(), plain.getnchannels(), plain.getsampwidth()) == (16000, 1, 2)
        pcm = plain.readframes(plain.getnframes())
    assert pcm == path.read_bytes()[WAV_HEADER_BYTES:]
    with open_wav(path) as own:
        assert b"".join(own.chunks(0.1)) == pcm
    lost = (appended - len(pcm)) / 32000
    logging.getLogger(__name__).info("kill -9 cost %.3f s of audio", lost)
    assert 0 <= lost < 0.5  # 0.2 when nothing else runs on the machine
