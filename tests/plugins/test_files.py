"""What the store ``files`` keeps, and what it refuses."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pluggy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sttgate_files
from sttgate import Recording, StoreError, hookspecs
from sttgate_files import FilesOptions, FileStore

AUDIO = bytes(range(256)) * 800  # three blocks and a bit

BAD_IDS = (
    "",
    ".",
    "..",
    "../up",
    "a/b",
    "/etc/passwd",
    "a\\b",
    "a\0b",
    "-rf",
    "_x",
    ".hidden",
    "a.wav",
    "a\n",
    "é",
    "x" * 65,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "recordings"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[FileStore]:
    store = FileStore(FilesOptions(path=folder))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A finished recording."""
    return audio_file(tmp_path / "spool.wav")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Another file system, of 128 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def audio_file(path: Path, content: bytes = AUDIO) -> Path:
    path.write_bytes(content)
    return path


async def read(store: FileStore, *arguments: int | None) -> bytes:
    return b"".join([block async for block in store.read("s1", *arguments)])


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_plugin_offers_the_store() -> None:
    """The module is a plugin that offers one recording store, built from its default options."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(sttgate_files)
    manager.check_pending()
    [[spec]] = manager.hook.sttgate_recording_stores()
    assert spec.name == "files"
    assert isinstance(spec.factory(spec.options()), FileStore)


async def test_put_takes_the_file_over(store: FileStore, source: Path, folder: Path) -> None:
    """The source is gone, and its bytes are the recording."""
    recording = await store.put("s1", source)
    assert recording == Recording(session_id="s1", size=len(AUDIO), path=folder / "s1.wav")
    assert await store.find("s1") == recording
    assert not source.exists()
    assert (folder / "s1.wav").read_bytes() == AUDIO
    assert os.listdir(folder) == ["s1.wav"]


async def test_put_again(store: FileStore, source: Path) -> None:
    """A second call, after the source was taken over, returns what is stored."""
    first = await store.put("s1", source)
    assert await store.put("s1", source) == first
    assert await read(store) == AUDIO


async def test_put_of_a_new_source_replaces(store: FileStore, source: Path) -> None:
    """A source that is there again wins over what was stored."""
    await store.put("s1", source)
    recording = await store.put("s1", audio_file(source, b"new"))
    assert recording.size == 3
    assert await read(store) == b"new"


async def test_put_without_source(store: FileStore, source: Path, tmp_path: Path) -> None:
    """A source that is not there, and was not taken over, is an error that names it."""
    with pytest.raises(
        StoreError, match=r"session s1 cannot be taken over from .*no\.wav.*no such"
    ):
        await store.put("s1", tmp_path / "no.wav")
    assert await store.find("s1") is None


async def test_concurrent_puts(store: FileStore, source: Path) -> None:
    """Two calls at once for the same source both succeed."""
    results = await asyncio.gather(*(store.put("s1", source) for _ in range(8)))
    assert {result.size for result in results} == {len(AUDIO)}
    assert await read(store) == AUDIO


async def test_only_the_owner_can_read(store: FileStore, source: Path, folder: Path) -> None:
    """Neither the folder nor a recording can be read by others, whatever the source allowed."""
    source.chmod(0o666)
    await store.put("s1", source)
    assert stat.S_IMODE((folder / "s1.wav").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_put_from_another_disk(store: FileStore, small_disk: Path, folder: Path) -> None:
    """A source on another file system is copied, then removed; only the owner can read the copy."""
    source = audio_file(small_disk / "spool.wav", AUDIO[:100_000])
    recording = await store.put("s1", source)
    assert recording.size == 100_000
    assert not source.exists()
    assert await read(store) == AUDIO[:100_000]
    assert stat.S_IMODE((folder / "s1.wav").stat().st_mode) == 0o600
    assert os.listdir(folder) == ["s1.wav"]


async def test_full_disk(small_disk: Path, source: Path) -> None:
    """On a full disk the source stays, no part of a copy does, and the error says what to do."""
    store = FileStore(FilesOptions(path=small_disk))
    await store.open()
    with pytest.raises(StoreError, match="the disk is full; free some space"):
        await store.put("s1", source)
    assert source.read_bytes() == AUDIO
    assert os.listdir(small_disk) == []
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (small_disk / "ballast").write_bytes(AUDIO)
    with pytest.raises(StoreError, match=r"Recordings cannot be kept in .*the disk is full"):
        await store.check()
    (small_disk / "ballast").unlink()
    await store.check()
    recording = await store.put("s1", audio_file(source, AUDIO[:100_000]))
    assert recording.size == 100_000


async def test_read_only_disk(small_disk: Path, source: Path) -> None:
    """A disk that turned read-only is noticed by the check, by put and at opening."""
    store = FileStore(FilesOptions(path=small_disk))
    await store.open()
    make_read_only(small_disk)
    for call in (store.check(), store.open(), store.put("s1", source)):
        with pytest.raises(StoreError, match="it is not allowed; make the folder writable"):
            await call
    assert source.exists()


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, None),
        (0, 0),
        (0, 1),
        (10, 20),
        (65_535, 65_537),
        (65_536, 131_072),
        (len(AUDIO) - 1, None),
        (len(AUDIO), None),
        (len(AUDIO) + 5, len(AUDIO) + 9),
        (100, len(AUDIO) * 2),
        (20, 10),
    ],
)
async def test_ranges(store: FileStore, source: Path, start: int, stop: int | None) -> None:
    """A range is what a slice of the bytes would be."""
    await store.put("s1", source)
    assert await read(store, start, stop) == AUDIO[start:stop]


async def test_blocks_are_small(store: FileStore, source: Path) -> None:
    """However large the recording is, no more than 64 KiB of it are in memory."""
    await store.put("s1", source)
    sizes = [len(block) async for block in store.read("s1")]
    assert max(sizes) == 65_536
    assert sum(sizes) == len(AUDIO)


async def test_reader_that_stops_early(store: FileStore, source: Path) -> None:
    """A reader that stops, or is cancelled, leaves no file open."""
    await store.put("s1", source)
    before = open_files()
    async with aclosing(store.read("s1")) as blocks:
        async for _ in blocks:
            break
    reading = asyncio.create_task(read(store))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    assert open_files() == before


async def test_read_without_recording(store: FileStore) -> None:
    """Reading what is not there is an error that says so."""
    with pytest.raises(StoreError, match=r"session s1 cannot be read in .*there is no such file"):
        await read(store)


async def test_delete(store: FileStore, source: Path) -> None:
    """A deleted recording is gone; deleting it again, or another, says that there was none."""
    await store.put("s1", source)
    assert await store.delete("s1") is True
    assert await store.delete("s1") is False
    assert await store.find("s1") is None


async def test_delete_while_read(store: FileStore, source: Path) -> None:
    """A reader that has begun gets everything."""
    await store.put("s1", source)
    content = b""
    async for block in store.read("s1"):
        content += block
        await store.delete("s1")
    assert content == AUDIO


@pytest.mark.parametrize("session_id", BAD_IDS)
async def test_bad_ids(store: FileStore, source: Path, session_id: str) -> None:
    """What is not a plain name has no recording, and cannot get one."""
    with pytest.raises(StoreError, match="use 1 to 64 letters"):
        await store.put(session_id, source)
    assert source.exists()
    assert await store.find(session_id) is None
    assert await store.delete(session_id) is False
    with pytest.raises(StoreError, match="use 1 to 64 letters"):
        await anext(store.read(session_id))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(max_size=80) | st.text("./\\ab-_0", max_size=80))
def test_no_id_leaves_the_folder(tmp_path: Path, session_id: str) -> None:
    """Whatever the id, a recording is a file right in the folder, or there is none."""

    async def run() -> None:
        store = FileStore(FilesOptions(path=tmp_path / "recordings"))
        await store.open()
        source = audio_file(tmp_path / "spool.wav", b"x")
        try:
            recording = await store.put(session_id, source)
        except StoreError:
            assert source.exists()
        else:
            assert recording.path == tmp_path / "recordings" / f"{session_id}.wav"
            assert recording.path.parent.resolve() == (tmp_path / "recordings").resolve()
            assert await store.delete(session_id)

    asyncio.run(run())


async def test_links_are_not_followed(store: FileStore, source: Path, folder: Path) -> None:
    """A symbolic link in the folder, or as a source, leads nowhere, and its target stays."""
    (folder / "s1.wav").symlink_to(source)
    assert await store.find("s1") is None
    assert await store.delete("s1") is False
    with pytest.raises(StoreError, match="it is a symbolic link"):
        await read(store)
    link = folder.parent / "link.wav"
    link.symlink_to(source)
    with pytest.raises(StoreError, match="it is a symbolic link"):
        await store.put("s2", link)
    other = audio_file(folder.parent / "other.wav", b"other")
    assert (await store.put("s1", other)).size == 5
    assert source.read_bytes() == AUDIO


async def test_pipe_in_the_place_of_a_file(store: FileStore, folder: Path) -> None:
    """A named pipe is an error, not a wait for ever."""
    os.mkfifo(folder / "s1.wav")
    os.mkfifo(folder.parent / "pipe")
    assert await store.find("s1") is None
    with pytest.raises(StoreError, match="cannot be read"):
        await read(store)
    with pytest.raises(StoreError, match="cannot be taken over"):
        await store.put("s2", folder.parent / "pipe")


async def test_folder_in_the_place_of_a_file(store: FileStore, source: Path, folder: Path) -> None:
    """A folder that bears a recording's name is in the way; the source stays."""
    (folder / "s1.wav").mkdir()
    assert await store.find("s1") is None
    with pytest.raises(StoreError, match="cannot be taken over"):
        await store.put("s1", source)
    with pytest.raises(StoreError, match="cannot be read"):
        await read(store)
    assert source.exists()


async def test_reopen_sweeps_up(store: FileStore, source: Path, folder: Path) -> None:
    """Opening removes copies that a crash left unfinished, and nothing else."""
    await store.put("s1", source)
    (folder / ".s2-abc.part").touch()
    (folder / "notes.txt").touch()
    await store.open()
    assert sorted(os.listdir(folder)) == ["notes.txt", "s1.wav"]


async def test_folder_cannot_be_made(tmp_path: Path) -> None:
    """A path below a file is an error at opening that names it."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "recordings"
    with pytest.raises(StoreError, match=f"Recordings cannot be kept in {path}: Not a directory;"):
        await FileStore(FilesOptions(path=path)).open()


async def test_folder_was_removed(store: FileStore, source: Path, folder: Path) -> None:
    """A folder that disappeared is noticed by the check and by put, which leaves the source."""
    folder.rmdir()
    with pytest.raises(StoreError, match="there is no such file"):
        await store.check()
    with pytest.raises(StoreError, match="there is no such file"):
        await store.put("s1", source)
    assert source.read_bytes() == AUDIO
    await store.open()
    assert (await store.put("s1", source)).size == len(AUDIO)
