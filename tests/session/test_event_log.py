"""The event log: numbered without gaps, finals on disk before anybody sees them, memory bounded."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate.session import entries
from sttgate.session.entries import AnyEntry
from sttgate.session.event_log import MEMORY_ENTRIES, EventLog, EventReader, read_entries
from sttgate.session.spool import Spool, SpoolFile, SpoolFolder
from tests.session.disk import file_size_limit
from tests.session.engines import eventually


def transcript(text: str, *, final: bool) -> entries.Transcript:
    return entries.Transcript(
        text=text,
        is_final=final,
        utterance_id=1,
        start=0.0,
        end=1.0,
        words=[entries.Word(word=word, start=0.0, end=1.0) for word in text.split()],
    )


def final(text: str = "word") -> entries.Transcript:
    return transcript(text, final=True)


def interim(text: str = "wo") -> entries.Transcript:
    return transcript(text, final=False)


@asynccontextmanager
async def open_log(path: Path) -> AsyncIterator[tuple[EventLog, SpoolFolder]]:
    spool = Spool(path, sync_interval=0)
    await spool.open()
    folder = await spool.create("s", b"")
    try:
        yield EventLog(folder.events, spool), folder
    finally:
        await spool.run(folder.close)
        await spool.close()


async def take_until(reader: EventReader, seq: int) -> list[AnyEntry]:
    """Take entries until the one numbered ``seq`` has come."""
    seen: list[AnyEntry] = []
    async with asyncio.timeout(10):
        async with aclosing(reader.follow()) as following:
            async for entry in following:
                seen.append(entry)
                if entry.seq >= seq:
                    return seen
    raise AssertionError


def on_disk(file: SpoolFile) -> list[int]:
    """Return the numbers of the entries in the file."""
    return [msgspec.json.decode(line)["seq"] for line in file.path.read_bytes().splitlines()]


async def test_entries_are_numbered_from_one_and_come_in_order(tmp_path: Path) -> None:
    """Every entry has the next number, durable or not, and a reader gets them in that order."""
    async with open_log(tmp_path) as (log, _):
        reader = log.reader(0, lambda: None)
        for number in range(1, 31):
            entry = log.append(final() if number % 3 == 0 else interim())
            assert entry.seq == number == log.last_seq
        seen = await take_until(reader, 30)
        assert [entry.seq for entry in seen] == list(range(1, 31))
        reader.close()


async def test_finals_are_on_disk_before_anybody_sees_them(tmp_path: Path) -> None:
    """At the moment a reader gets a durable entry, the file has it; interims are never in the file."""
    async with open_log(tmp_path) as (log, folder):
        reader = log.reader(0, lambda: None)
        appending = asyncio.create_task(_append_slowly(log, 60))
        async with aclosing(reader.follow()) as following:
            async for entry in following:
                saved = on_disk(folder.events)
                assert (entry.seq in saved) == entry.durable
                if entry.seq == 60:
                    break
        await appending
        reader.close()


async def _append_slowly(log: EventLog, count: int) -> None:
    for number in range(1, count + 1):
        log.append(interim() if number % 4 else final())
        if number % 7 == 0:
            await asyncio.sleep(0.002)


async def test_an_interim_never_overtakes_a_final(tmp_path: Path) -> None:
    """What follows a final that is not yet written waits for it."""
    async with open_log(tmp_path) as (log, _):
        reader = log.reader(0, lambda: None)
        log.append(interim())
        assert [entry.seq for entry in await reader.take()] == [1]
        log.append(final())
        log.append(interim())
        assert await reader.take() == []
        assert [entry.seq for entry in await take_until(reader, 3)] == [2, 3]
        reader.close()


async def test_a_slow_reader_gets_every_final_and_no_stale_interim(tmp_path: Path) -> None:
    """A reader that slept through thousands of entries gets all finals, and only fresh interims."""
    async with open_log(tmp_path) as (log, folder):
        reader = log.reader(0, lambda: None)
        expected = []
        for number in range(1, 3001):
            if number % 10 == 0:
                expected.append(log.append(final(f"word{number}")).seq)
            else:
                log.append(interim())
            if number % 500 == 0:
                await folder.events.flush()
        await folder.events.flush()
        seen = await take_until(reader, 3000)
        assert [entry.seq for entry in seen if entry.durable] == expected
        assert [e.text for e in seen if isinstance(e, entries.Transcript) and e.is_final] == [
            f"word{seq}" for seq in expected
        ]
        assert sum(not entry.durable for entry in seen) <= MEMORY_ENTRIES
        assert seen == sorted(seen, key=lambda entry: entry.seq)
        reader.close()


@pytest.mark.parametrize("read", [True, False], ids=["sleeping reader", "no reader"])
@pytest.mark.parametrize("final_every", [1, 2, 50])
async def test_memory_does_not_grow(tmp_path: Path, read: bool, final_every: int) -> None:
    """However many entries come at once, only the latest few stay in memory."""
    async with open_log(tmp_path) as (log, folder):
        reader = log.reader(0, lambda: None) if read else None
        for number in range(1, 4001):
            log.append(interim() if number % final_every else final())
            if number % 200 == 0:
                await folder.events.flush()
                assert len(log._recent) <= MEMORY_ENTRIES
                assert not log._unpublished
        if reader is not None:
            seen = await take_until(reader, 4000)
            assert sum(entry.durable for entry in seen) == 4000 // final_every
            reader.close()
        assert len(log._recent) <= MEMORY_ENTRIES


async def test_a_store_that_is_behind_costs_no_interims(tmp_path: Path) -> None:
    """A client that keeps up gets every interim, however far behind the store is."""
    async with open_log(tmp_path) as (log, folder):
        store = log.reader(0, lambda: None, durable_only=True)
        client = log.reader(0, lambda: None)
        seen: list[AnyEntry] = []
        for number in range(1, 1001):
            log.append(interim() if number % 4 else final())
            if number % 4 == 0:
                await folder.events.flush()
            if number % 20 == 0:
                seen += await client.take()
                assert len(log._recent) <= MEMORY_ENTRIES
        assert [entry.seq for entry in seen] == list(range(1, 1001))
        kept = [entry for entry in await take_until(store, 1000) if entry.durable]
        assert [entry.seq for entry in kept] == list(range(4, 1001, 4))
        store.close()
        client.close()


async def test_words_are_wanted_while_somebody_reads_them(tmp_path: Path) -> None:
    """What wants words of interims is the readers of the moment."""
    async with open_log(tmp_path) as (log, _):
        assert not log.words_wanted
        one, two, three = (
            log.reader(0, lambda: None, words=words) for words in (True, False, True)
        )
        assert log.words_wanted
        one.close()
        assert log.words_wanted
        three.close()
        assert not log.words_wanted
        two.close()


async def test_what_everybody_has_seen_is_forgotten(tmp_path: Path) -> None:
    """With readers that keep up only the newest entry stays in memory, for who comes late."""
    async with open_log(tmp_path) as (log, _):
        one, two = log.reader(0, lambda: None), log.reader(0, lambda: None)
        for _ in range(5):
            log.append(final())
        await take_until(one, 5)
        assert len(log._recent) == 5
        await take_until(two, 5)
        assert [entry.seq for entry in log._recent] == [5]
        one.close()
        two.close()
        assert not log._readers


async def test_a_late_reader_starts_where_it_says(tmp_path: Path) -> None:
    """A reader that joins late gets every durable entry after its number, from disk where need be."""
    async with open_log(tmp_path) as (log, folder):
        early = log.reader(0, lambda: None)
        for number in range(1, 301):
            log.append(final(str(number)))
        await folder.events.flush()
        await take_until(early, 300)
        for after in (0, 1, 63, 150, 299):
            late = log.reader(after, lambda: None)
            seen = await take_until(late, 300)
            assert [entry.seq for entry in seen] == list(range(after + 1, 301))
            assert [e.text for e in seen if isinstance(e, entries.Transcript)] == [
                str(seq) for seq in range(after + 1, 301)
            ]
            late.close()
        caught_up = log.reader(300, lambda: None)
        assert await caught_up.take() == []
        log.append(interim())
        assert [entry.seq for entry in await caught_up.take()] == [301]
        caught_up.close()
        early.close()


async def test_the_last_entry_can_be_read_again(tmp_path: Path) -> None:
    """A client that lost its socket together with ``stopped`` still gets it over the next one."""
    async with open_log(tmp_path) as (log, _):
        lost = log.reader(0, lambda: None)
        log.append(final())
        log.append(interim())
        log.append(entries.Stopped(session_id="s", full_transcription="word"))
        await take_until(lost, 3)
        lost.close()
        for after, expected in ((0, [1, 3]), (1, [3]), (2, [3]), (3, [])):
            again = log.reader(after, lambda: None)
            seen = [*await again.take(), *await again.take()]
            assert [entry.seq for entry in seen] == expected
            again.close()


async def test_readers_are_told_when_there_is_more(tmp_path: Path) -> None:
    """``notify`` is called once entries can be taken, not before."""
    async with open_log(tmp_path) as (log, folder):
        told: list[int] = []
        reader = log.reader(0, lambda: told.append(log.last_seq))
        log.append(final())
        assert told == []
        await folder.events.flush()
        assert told == [1]
        log.append(interim())
        assert told == [1, 2]
        reader.close()
        log.append(interim())
        assert told == [1, 2]


async def test_a_reader_of_durable_entries_is_not_called_for_interims(tmp_path: Path) -> None:
    """Interims pass such a reader by and hold nothing up; finals reach it, whatever came between."""
    async with open_log(tmp_path) as (log, folder):
        calls = 0

        def call() -> None:
            nonlocal calls
            calls += 1

        reader = log.reader(0, call, durable_only=True)
        for _ in range(MEMORY_ENTRIES * 2):
            log.append(interim())
        assert calls == 0
        assert reader.up_to_date
        assert await reader.take() == []
        log.append(final("one"))
        log.append(interim())
        await folder.events.flush()
        assert calls > 0
        assert [entry.seq for entry in await reader.take() if entry.durable] == [log.last_seq - 1]
        calls = 0
        log.append(interim())
        assert calls == 0
        assert reader.after == log.last_seq


async def test_full_text_has_every_final_once(tmp_path: Path) -> None:
    """The full text is all finals joined with one space, whether they are written yet or not."""
    async with open_log(tmp_path) as (log, folder):
        assert log.full_text == ""
        expected = []
        for number in range(700):
            log.append(interim("never"))
            log.append(entries.Marked(t=0.0, label="never"))
            log.append(final(f"ü{number} w"))
            expected.append(f"ü{number} w")
            if number == 600:
                await folder.events.flush()
        assert folder.events.written < folder.events.size
        assert log.full_text == " ".join(expected)
        await folder.events.flush()
        assert log.full_text == " ".join(expected)


async def test_cancelled_readers_lose_nothing(tmp_path: Path) -> None:
    """A reader whose wait is cancelled while it reads from disk gets the same entries next time."""
    async with open_log(tmp_path) as (log, folder):
        reader = log.reader(0, lambda: None)
        for _ in range(500):
            log.append(final("x" * 4000))  # so that each turn takes several reads
        await folder.events.flush()
        seen: list[int] = []
        async with asyncio.timeout(20):
            for turns in itertools.cycle(range(60)):
                taking = asyncio.create_task(reader.take())
                for _ in range(turns):
                    await asyncio.sleep(0)
                taking.cancel()
                await asyncio.wait({taking})
                if not taking.cancelled():
                    seen += [entry.seq for entry in taking.result()]
                if seen and seen[-1] == 500:
                    break
        assert seen == list(range(1, 501))
        reader.close()


async def test_while_the_disk_refuses_live_words_go_on(tmp_path: Path) -> None:
    """Finals are shown though they cannot be written, also to readers far behind, and written later."""
    async with open_log(tmp_path) as (log, folder):
        prompt, slow = log.reader(0, lambda: None), log.reader(0, lambda: None)
        with file_size_limit():
            for number in range(1, 401):
                log.append(final(f"{number} " + "x" * 4000))
                if number % 40 == 0:
                    await asyncio.sleep(0.01)
            await eventually(lambda: folder.events.failing)
            seen = await take_until(prompt, 400)
            assert [entry.seq for entry in seen] == list(range(1, 401))
            # Twice, since the second part begins behind what the disk has taken.
            seen = [*await slow.take()]
            while seen[-1].seq < 300:
                seen += await slow.take()
        while seen[-1].seq < 400:
            seen += await slow.take()
        assert [entry.seq for entry in seen] == list(range(1, 401))
        late = log.reader(0, lambda: None)
        seen = await take_until(late, 400)
        assert [entry.seq for entry in seen] == list(range(1, 401))
        await eventually(lambda: folder.events.written == folder.events.size)
        assert on_disk(folder.events) == list(range(1, 401))
        for reader in (prompt, slow, late):
            reader.close()


async def test_a_log_goes_on_after_the_process_that_wrote_it_died(tmp_path: Path) -> None:
    """A claimed log numbers on, and its readers get the old entries before the new ones."""
    spool = Spool(tmp_path, sync_interval=0)
    await spool.open()
    folder = await spool.create("s", b"")
    log = EventLog(folder.events, spool)
    for number in range(100):
        log.append(final(str(number)))
    folder.events.append(b'{"event":"transc')
    await folder.events.flush()
    await spool.run(folder.close)
    found = await spool.claim("s")
    assert found is not None
    saved = await spool.run(lambda: list(read_entries(found.events)))
    assert [entry.seq for entry, _ in saved] == list(range(1, 101))
    end = saved[-1][1]
    assert found.events.path.read_bytes()[end:] == b'{"event":"transc'
    await spool.run(lambda: found.events.truncate(end))
    log = EventLog(found.events, spool, 100, [entry.text for entry, _ in saved])
    reader = log.reader(0, lambda: None)
    log.append(final("new"))
    seen = await take_until(reader, 101)
    assert [entry.seq for entry in seen] == list(range(1, 102))
    assert log.full_text.split() == [*map(str, range(100)), "new"]
    reader.close()
    await spool.run(found.close)
    await spool.close()


def test_every_kind_of_entry_comes_back_from_its_json() -> None:
    """What the log writes it can read: the tag, and all fields, of every durable kind."""
    samples: list[AnyEntry] = [
        entries.Started(
            session_id="s",
            provider="p",
            sample_rate=1,
            channels=1,
            created_at="",
            metadata={"a": 1, "b": None},
        ),
        final("a b"),
        entries.UtteranceEnd(utterance_id=1, start=0, end=1, reason="stop"),
        entries.Provider(state="ready", provider="p"),
        entries.Gap(start=0, end=1),
        entries.Finalized(id={"any": ["thing"]}, t=1.0),
        entries.Finalized(t=1.0),
        entries.Paused(t=1.0),
        entries.Unpaused(t=1.0),
        entries.Marked(t=1.0, label="here"),
        entries.Warning(code="c", message="m"),
        entries.Error(message="m", code="c", provider="p"),
    ]
    decoder: msgspec.json.Decoder[AnyEntry] = msgspec.json.Decoder(AnyEntry)
    for sample in samples:
        assert sample.durable
        assert decoder.decode(msgspec.json.encode(sample)) == sample


# --- any mixture ------------------------------------------------------------------------------------

_steps = st.lists(
    st.one_of(
        st.tuples(st.just("final"), st.integers(1, 120)),
        st.tuples(st.just("interim"), st.integers(1, 120)),
        st.tuples(st.just("join"), st.floats(0, 1)),
        st.tuples(st.just("take"), st.integers(0, 3)),
        st.tuples(st.just("leave"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=50, deadline=None)
@given(_steps)
def test_any_number_of_readers_at_any_pace(steps: list[tuple[str, float]]) -> None:
    """However readers join, read and leave, each gets every durable entry after its start, in order."""

    async def check(path: Path) -> None:
        async with open_log(path) as (log, folder):
            durable: list[int] = []
            readers: list[tuple[EventReader, int, list[int]]] = []
            for step, value in steps:
                match step:
                    case "final" | "interim":
                        for _ in range(int(value)):
                            entry = log.append(final() if step == "final" else interim())
                            if step == "final":
                                durable.append(entry.seq)
                    case "join":
                        after = int(value * log.last_seq)
                        readers.append((log.reader(after, lambda: None), after, []))
                    case "take" if readers:
                        reader, _, seen = readers[int(value) % len(readers)]
                        seen += [entry.seq for entry in await reader.take()]
                    case "leave" if readers:
                        reader, after, seen = readers.pop(int(value) % len(readers))
                        reader.close()
                        upto = seen[-1] if seen else after
                        assert_complete(durable, after, upto, seen)
                    case _:
                        await folder.events.flush()
            last = log.append(final()).seq
            durable.append(last)
            for reader, after, seen in readers:
                seen += [entry.seq for entry in await take_until(reader, last)]
                assert_complete(durable, after, last, seen)
                reader.close()

    with tempfile.TemporaryDirectory() as path:
        asyncio.run(check(Path(path)))


def assert_complete(durable: list[int], after: int, upto: int, seen: list[int]) -> None:
    """Assert that ``seen`` is in order and has every durable entry of a span."""
    assert seen == sorted(set(seen))
    assert all(seq > after for seq in seen)
    known = set(seen)
    assert [seq for seq in durable if after < seq <= upto] == [s for s in durable if s in known]
