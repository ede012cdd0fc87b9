"""The contract of recording stores as tests: subclass ``RecordingStoreTests``, write one fixture."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
import pytest_asyncio

from sttgate.audio import AudioFormat, wav_header
from sttgate.errors import StoreError
from sttgate.stores import RecordingStore
from sttgate.testing.footprint import Footprint
from sttgate.testing.kit import FREED_WITHIN, Kit
from sttgate.testing.scripted import tone

HOSTILE = (
    *("", ".", "..", "../up", "../../up", "a/b", "a\\b", "a\0b", "/up", "-rf", ".hidden", "a\n"),
    *("up.wav", "~", "$HOME", "x" * 5000, "é" * 200, "CON", "%2e%2e%2fup"),
)


class RecordingStoreTests(Kit):
    """The contract of recording stores. Write the fixture ``store``: as made, not yet opened.

    The tests use sessions of their own and delete their recordings.
    """

    @pytest.fixture
    def store(self) -> RecordingStore:
        """Return the store under test."""
        raise NotImplementedError("write a fixture `store` that returns your store")

    @pytest_asyncio.fixture
    async def bench(self, store: RecordingStore, tmp_path: Path) -> AsyncIterator[RecordingBench]:
        """Open the store for a test; delete what the test stored, and close it afterwards."""
        before = Footprint()
        await store.open()
        bench = RecordingBench(store, tmp_path / "kit", before)
        try:
            yield bench
        finally:
            await bench.clean_up()

    @pytest.mark.asyncio
    async def test_put_takes_the_file_over(self, bench: RecordingBench) -> None:
        """What was put is there byte for byte, and its source is gone.

        A failure usually means that the file is copied and stays, or is changed on the way.
        """
        session, source = bench.session(), bench.source()
        content = source.read_bytes()
        recording = await bench.store.put(session, source)
        assert (recording.session_id, recording.size) == (session, len(content))
        assert recording.media_type == "audio/wav"
        assert not source.exists(), "the source is still there after put"
        assert await bench.read(session) == content
        assert await bench.store.find(session) == recording

    @pytest.mark.asyncio
    async def test_put_again(self, bench: RecordingBench) -> None:
        """Clause 1: when the source is gone and the recording is there, put returns it.

        A failure usually means that a missing source is an error before the recording is looked
        for: a retry after a lost answer then fails for ever.
        """
        session, source = bench.session(), bench.source()
        first = await bench.store.put(session, source)
        assert await bench.store.put(session, source) == first

    @pytest.mark.asyncio
    async def test_older_than(self, bench: RecordingBench) -> None:
        """A store that tells which recordings are old tells of this one later, and not yet.

        A failure usually means that the instant is taken for something else than seconds since
        the epoch, or that deleted recordings are told of.
        """
        session, source = bench.session(), bench.source()
        now = time.time()
        await bench.store.put(session, source)
        assert session not in await bench.store.older_than(now - 3600)
        later = await bench.store.older_than(now + 3600)
        if type(bench.store).older_than is not RecordingStore.older_than:
            assert session in later
        await bench.store.delete(session)
        assert session not in await bench.store.older_than(now + 3600)

    @pytest.mark.asyncio
    async def test_put_at_once(self, bench: RecordingBench) -> None:
        """Clause 1: several puts of one source at the same time all succeed, of several sources too.

        A failure usually means that the file is looked for and moved in two steps.
        """
        session, source = bench.session(), bench.source()
        content = source.read_bytes()
        others = [(bench.session(), bench.source(0.1 * number)) for number in range(1, 5)]
        sizes = [path.stat().st_size for _, path in others]
        await asyncio.gather(*(bench.store.put(session, source) for _ in range(4)))
        stored = await asyncio.gather(*(bench.store.put(name, path) for name, path in others))
        assert await bench.read(session) == content
        assert [each.size for each in stored] == sizes

    @pytest.mark.asyncio
    async def test_put_without_source(self, bench: RecordingBench) -> None:
        """A source that is not there, and never was, is a StoreError; nothing is stored.

        A failure usually means that an OSError came through.
        """
        session = bench.session()
        with pytest.raises(StoreError):
            await bench.store.put(session, bench.folder / "missing.wav")
        assert await bench.store.find(session) is None

    @pytest.mark.asyncio
    async def test_never_partial(self, bench: RecordingBench) -> None:
        """Clause 2: while it is put, a recording is there as a whole or not at all.

        A failure usually means that it is written under its own name: write beside it and rename.
        """
        session, source = bench.session(), bench.source(20.0)
        size = source.stat().st_size
        task = asyncio.ensure_future(bench.store.put(session, source))
        while not task.done():
            found = await bench.store.find(session)
            assert found is None or found.size == size, "a part of a recording was found"
            await asyncio.sleep(0)
        await task

    @pytest.mark.asyncio
    async def test_cancelled_put(self, bench: RecordingBench) -> None:
        """A put that is cancelled has happened or not; repeated, it stores the whole recording.

        A failure usually means that the source is removed before the recording is safe.
        """
        for step in range(5):
            session, source = bench.session(), bench.source(1.0 + step)
            content = source.read_bytes()
            task = asyncio.ensure_future(bench.store.put(session, source))
            await asyncio.sleep(0.0005 * step)
            task.cancel()
            await asyncio.wait({task})
            recording = await bench.store.put(session, source)
            assert recording.size == len(content)
            assert await bench.read(session) == content

    @pytest.mark.asyncio
    async def test_any_range(self, bench: RecordingBench) -> None:
        """Clause 3: read gives the bytes a slice would, for any range.

        A failure usually means an end that is inclusive, as in HTTP: here `stop` is exclusive.
        """
        session, source = bench.session(), bench.source(4.0)
        content = source.read_bytes()
        size = len(content)
        await bench.store.put(session, source)
        ranges: list[tuple[int, int | None]] = [
            *((0, None), (0, 0), (0, 1), (10, 20), (size - 1, None), (size, None)),
            *((size + 5, size + 9), (100, size * 2), (65_535, 65_537), (1, size - 1)),
        ]
        for start, stop in ranges:
            got = await bench.read(session, start, stop)
            assert got == content[start:stop], f"wrong bytes from {start} to {stop} of {size}"

    @pytest.mark.asyncio
    async def test_reading_in_blocks(self, bench: RecordingBench) -> None:
        """Clause 3: a long recording is read in blocks, and a reader may stop after the first.

        A failure usually means that the whole recording is loaded into memory: hours are possible.
        """
        session, source = bench.session(), bench.source(60.0)
        size = source.stat().st_size
        await bench.store.put(session, source)
        before = Footprint()
        sizes = []
        async for block in bench.store.read(session):
            sizes.append(len(block))
        assert sum(sizes) == size
        assert max(sizes) < size, "the recording came in one block"
        for _ in range(5):
            reading = cast(AsyncGenerator[bytes, None], bench.store.read(session))
            async with aclosing(reading) as blocks:
                async for _block in blocks:
                    break
        assert not await before.descriptors_left(FREED_WITHIN, allowed=4), (
            "readers leave files open"
        )

    @pytest.mark.asyncio
    async def test_path_is_the_recording(self, bench: RecordingBench) -> None:
        """Clause 3: a path that find returns is a file with the recording, for it is served from there.

        A failure usually means a path that is relative, or of a file with something else around it.
        """
        session, source = bench.session(), bench.source()
        content = source.read_bytes()
        path = (await bench.store.put(session, source)).path
        if path is None:
            pytest.skip("its recordings are not local files")
        assert path.is_absolute(), "the path is relative"
        assert path.read_bytes() == content

    @pytest.mark.asyncio
    async def test_nothing_stored(self, bench: RecordingBench) -> None:
        """Without a recording find is None, delete says False, and read is a StoreError.

        A failure usually means that the exception for a missing file came through.
        """
        session = bench.session()
        assert await bench.store.find(session) is None
        assert await bench.store.delete(session) is False
        with pytest.raises(StoreError):
            await bench.read(session)

    @pytest.mark.asyncio
    async def test_deleted_is_gone(self, bench: RecordingBench) -> None:
        """A deleted recording is gone; deleting it again says that there was none.

        A failure usually means that delete does not look whether there was something.
        """
        session = bench.session()
        await bench.store.put(session, bench.source())
        assert await bench.store.delete(session) is True
        assert await bench.store.delete(session) is False
        assert await bench.store.find(session) is None

    @pytest.mark.asyncio
    @pytest.mark.parametrize("name", HOSTILE, ids=[f"name-{n}" for n in range(len(HOSTILE))])
    async def test_names_are_checked(self, bench: RecordingBench, name: str) -> None:
        """Clause 4: an id that is no plain name is refused, or leads to nothing outside the store.

        A failure usually means that the id is put into a path unchecked: allow letters, digits, "-"
        and "_", and refuse everything else with a StoreError.
        """
        bench.source(0.1)
        neighbours = bench.neighbours()
        source = bench.source()
        content = source.read_bytes()
        try:
            await bench.store.put(name, source)
        except StoreError:
            assert source.exists(), "the source is gone although put refused it"
        else:
            assert await bench.read(name) == content
        try:
            await bench.store.find(name)
            await bench.store.delete(name)
        except StoreError:
            pass
        source.unlink(missing_ok=True)
        assert bench.neighbours() == neighbours, "something outside of the store has changed"

    @pytest.mark.asyncio
    async def test_stored_is_stored(self, bench: RecordingBench) -> None:
        """A recording is there after close and open.

        A failure usually means that an index of recordings is kept in memory only.
        """
        session, source = bench.session(), bench.source()
        content = source.read_bytes()
        await bench.store.put(session, source)
        await bench.store.close()
        await bench.store.open()
        assert await bench.read(session) == content

    @pytest.mark.asyncio
    async def test_check(self, bench: RecordingBench) -> None:
        """check() returns when the store can write, and leaves nothing behind.

        A failure usually means that it needs something that is there only after the first put.
        """
        await bench.store.check()

    @pytest.mark.asyncio
    async def test_nothing_is_left_after_close(self, bench: RecordingBench) -> None:
        """close lets go of every task and thread, may come twice, and open works after it.

        A failure usually means a pool or a client that nobody ends.
        """
        await bench.store.put(bench.session(), bench.source())
        await bench.store.close()
        await bench.store.close()
        tasks = await bench.before.tasks_left(FREED_WITHIN)
        assert not tasks, f"tasks are left after close: {tasks}"
        threads = await bench.before.threads_left(FREED_WITHIN)
        assert not threads, f"threads are left after close: {threads}"
        await bench.store.open()


class RecordingBench:
    """An open store and recordings to put into it; ``folder`` is where the sources lie."""

    def __init__(self, store: RecordingStore, folder: Path, before: Footprint) -> None:
        self.store = store
        self.folder = folder
        self.before = before
        self._ids: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def session(self) -> str:
        """Return the id of a new session."""
        self._ids.append(str(uuid4()))
        return self._ids[-1]

    def source(self, seconds: float = 0.5) -> Path:
        """Write a finished WAV file."""
        second = tone(1.0)
        pcm = (second * (int(seconds) + 1))[: 2 * round(16_000 * seconds)]
        path = self.folder / f"{uuid4()}.wav"
        path.write_bytes(wav_header(AudioFormat(), len(pcm)) + pcm)
        return path

    def neighbours(self) -> dict[str, int]:
        """Return what lies beside the store: the sources, and what a name could reach from there."""
        up = [*self.folder.iterdir(), *Path.cwd().glob("up*"), *Path("/").glob("up*")]
        return {str(path): path.stat().st_size for path in up}

    async def read(self, session: str, start: int = 0, stop: int | None = None) -> bytes:
        """Read a range."""
        return b"".join([block async for block in self.store.read(session, start, stop)])

    async def clean_up(self) -> None:
        """Delete what was stored, and close the store."""
        try:
            for session in self._ids:
                await self.store.delete(session)
        finally:
            await self.store.close()
