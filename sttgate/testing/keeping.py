"""The contract of transcript stores, clauses 1 to 3 and 5: what is stored is stored, and comes back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from sttgate.errors import StoreError
from sttgate.stores import SessionChange, SessionQuery
from sttgate.testing.kit import FREED_WITHIN, Kit
from sttgate.testing.sessions import BEGAN, TranscriptBench


class KeepingClauses(Kit):
    """Tests of what is stored; they work on the fixture ``bench`` of ``TranscriptStoreTests``."""

    @pytest.mark.asyncio
    async def test_keeps_everything(self, bench: TranscriptBench) -> None:
        """What was stored comes back as it was, every field of it.

        A failure usually means a column that is missing, a float kept as text, or metadata whose
        types are lost: store what is nested as JSON.
        """
        start, said, end = bench.start(), bench.utterance(1), bench.end()
        await bench.store.begin(start)
        await bench.store.add_utterance(start.id, said)
        await bench.store.end(start.id, end)
        found = await bench.read(start.id)
        kept = found.session.start
        assert kept.id == start.id, "the id is another"
        assert kept.created_at == pytest.approx(start.created_at), "created_at has changed"
        wire = (kept.protocol, kept.sample_rate, kept.channels)
        assert wire == ("native/2", 16_000, 2), f"protocol, rate and channels are {wire}"
        assert dict(kept.metadata) == end.metadata, "end does not replace metadata"
        assert kept.title == start.title, "the title has changed"
        assert kept.client_ref == start.client_ref, "client_ref has changed"
        assert kept.owner == start.owner, "the owner is not kept"
        (utterance,) = found.utterances
        assert replace(utterance, words=tuple(utterance.words)) == said, "the utterance has changed"
        closed = found.session.end
        assert closed is not None, "the end of the session is missing"
        outcome = (closed.state, closed.reason, closed.recording)
        assert outcome == ("completed", "client", True), f"it ended as {outcome}"
        assert closed.ended_at == pytest.approx(end.ended_at), "ended_at has changed"
        assert closed.duration == pytest.approx(end.duration), "the duration has changed"
        assert tuple(closed.marks) == end.marks, "the marks have changed"
        assert tuple(closed.gaps) == end.gaps, "the gaps have changed"
        assert dict(closed.usage) == end.usage, "the usage has changed"
        assert found.session.utterances == 1, "the utterances are miscounted"

    @pytest.mark.asyncio
    async def test_unknown_session(self, bench: TranscriptBench) -> None:
        """A session that was never stored is None, and cannot be changed or deleted.

        A failure usually means that "no such row" is treated as an error, or not noticed.
        """
        store, nobody = bench.store, str(uuid4())
        assert await store.get(nobody) is None, "get knows somebody"
        assert await store.find(nobody) is None, "find knows somebody"
        changed = await store.update(nobody, SessionChange(title="new"))
        assert changed is False, "update says that it changed somebody"
        assert await store.delete_utterances(nobody) is False, "delete_utterances found somebody"
        assert await store.delete(nobody) is False, "delete says that there was somebody"
        assert await store.get(nobody) is None, "a change of nothing made a session"

    @pytest.mark.asyncio
    async def test_running_session(self, bench: TranscriptBench) -> None:
        """A session that has begun and not ended can be read, and has no end yet.

        A failure usually means that rows are written only when the session ends.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        found = await bench.read(start.id)
        assert found.session.end is None, "it has an end before it ended"
        assert dict(found.session.start.metadata) == start.metadata, "the metadata has changed"
        assert len(found.utterances) == 1, "what was said is not there before the end"

    @pytest.mark.asyncio
    async def test_find_is_get_without_utterances(self, bench: TranscriptBench) -> None:
        """find says of a session what get and list say of it: fields, counts and first words.

        A failure usually means counts that grow with each call: an utterance comes many times while
        it grows, and counts once.
        """
        start = await bench.said("one two three", "four five")
        for text in ("six", "six seven", "six seven eight"):
            await bench.store.add_utterance(start.id, replace(bench.utterance(3), text=text))
        await bench.store.end(start.id, bench.end())
        found = await bench.store.find(start.id)
        assert found is not None, "find returned None for a session that was begun"
        assert (found.utterances, found.words) == (3, 8), "utterances or words are miscounted"
        assert found.preview.startswith("one two"), "the preview is not the first words"
        assert not found.hits, "there are hits without a search"
        found = replace(found, hits=())
        of_get = replace((await bench.read(start.id)).session, hits=())
        assert found == of_get, "get says something else"
        listed = [s for s in await bench.listed(SessionQuery()) if s.start.id == start.id]
        assert [replace(s, hits=()) for s in listed] == [found], "list says something else"

    @pytest.mark.asyncio
    async def test_begin_again_changes_nothing(self, bench: TranscriptBench) -> None:
        """Clause 1: begin may be repeated, and what was stored since stays.

        A failure usually means INSERT OR REPLACE, or an error for a key that is there.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        await bench.store.begin(replace(start, title="another"))
        found = await bench.read(start.id)
        assert found.session.start.title == start.title, "a second begin changed the session"
        assert len(found.utterances) == 1, "a second begin lost what was stored"

    @pytest.mark.asyncio
    async def test_same_number_replaces(self, bench: TranscriptBench) -> None:
        """Clause 1: an utterance with the same number takes the place of the one before.

        A failure usually means a plain INSERT: the gateway sends a growing utterance many times.
        """
        start = await bench.begun()
        said = bench.utterance(1)
        for text in (bench.word, "the first words", "the first words of it"):
            await bench.store.add_utterance(start.id, replace(said, text=text))
        found = await bench.read(start.id)
        (kept, *more) = found.utterances
        assert not more, "one utterance has become several"
        assert kept.text == "the first words of it", "the last version is not the one that is kept"
        assert await bench.hits(start.id, bench.word) is None, "words that were replaced are found"

    @pytest.mark.asyncio
    async def test_last_end_counts(self, bench: TranscriptBench) -> None:
        """Clause 1: of several ends the last one counts.

        A failure usually means that an end is written only where there is none.
        """
        start = await bench.begun()
        await bench.store.end(start.id, replace(bench.end(), state="interrupted", reason="crash"))
        await bench.store.end(start.id, bench.end())
        end = (await bench.read(start.id)).session.end
        assert end is not None, "the end of the session is missing"
        assert (end.state, end.reason) == ("completed", "client"), "the first end has stayed"

    @pytest.mark.asyncio
    async def test_utterances_in_order_of_time(self, bench: TranscriptBench) -> None:
        """Utterances come back in order of time, in whatever order they were stored.

        A failure usually means a missing ORDER BY, or one by number: two channels overlap.
        """
        start = await bench.begun()
        for number, at in ((1, 5.0), (3, 1.0), (2, 9.0)):
            said = replace(
                bench.utterance(number), start=at, end=at + 1, words=(), channel=number % 2
            )
            await bench.store.add_utterance(start.id, said)
        found = await bench.read(start.id)
        times = [each.start for each in found.utterances]
        assert times == [1.0, 5.0, 9.0], f"utterances come in the order {times}"

    @pytest.mark.asyncio
    async def test_stored_is_stored(self, bench: TranscriptBench) -> None:
        """Clause 2: what a call stored before it returned is there after close and open.

        A failure usually means a transaction that is not committed before the call returns.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        await bench.store.end(start.id, bench.end())
        await bench.store.update(start.id, SessionChange(title="new", speakers={"0": "Ann"}))
        await bench.store.close()
        await bench.store.open()
        found = await bench.store.get(start.id)
        assert found is not None, "the session is gone after close and open"
        assert len(found.utterances) == 1, "what was said is gone after close and open"
        assert found.session.end is not None, "the end is gone after close and open"
        assert found.session.start.title == "new", "a change is gone after close and open"
        assert dict(found.session.speakers) == {"0": "Ann"}, "a change is gone after close and open"
        assert await bench.hits(start.id, bench.word), "nothing is found after close and open"

    @pytest.mark.asyncio
    async def test_only_store_errors(self, bench: TranscriptBench) -> None:
        """Clause 3: a call that cannot be done raises StoreError and nothing else.

        A failure usually means that an exception of the database came through: wrap each call.
        """
        start = await bench.begun()
        store = bench.store
        calls: list[tuple[Any, ...]] = [
            (store.check,),
            (store.begin, start),
            (store.add_utterance, start.id, bench.utterance(1)),
            (store.end, start.id, bench.end()),
            (store.get, start.id),
            (store.find, start.id),
            (store.list, SessionQuery()),
            (store.list, SessionQuery(text="word")),
            (store.update, start.id, SessionChange(title="new")),
            (store.delete_utterances, start.id),
            (store.delete, start.id),
            (store.usage, BEGAN, BEGAN + 1),
        ]
        await store.close()
        try:
            for call, *arguments in calls:
                try:
                    await call(*arguments)
                except StoreError:
                    continue
                except Exception as error:
                    raise AssertionError(
                        f"{call.__name__} of a closed store: {type(error).__name__}, no StoreError"
                    ) from error
                raise AssertionError(f"{call.__name__} of a closed store raises nothing")
        finally:
            await store.open()

    @pytest.mark.asyncio
    async def test_cancelled_calls_do_no_harm(self, bench: TranscriptBench) -> None:
        """Clause 5: a call that is cancelled may or may not have happened, and breaks no later one.

        A failure usually means that a connection is left in the middle of a transaction.
        """
        start = await bench.begun()
        for number in range(1, 20):
            task = asyncio.ensure_future(
                bench.store.add_utterance(start.id, bench.utterance(number))
            )
            await asyncio.sleep(0.0002 * number)
            task.cancel()
            await asyncio.wait({task})
        await bench.store.add_utterance(start.id, bench.utterance(99))
        found = await bench.read(start.id)
        assert 99 in {each.number for each in found.utterances}, "a later call was lost"

    @pytest.mark.asyncio
    async def test_many_at_once(self, bench: TranscriptBench) -> None:
        """Many sessions are stored at the same time, and none of it is lost.

        A failure usually means a connection that is used by two calls at once.
        """
        starts = [bench.start() for _ in range(8)]
        await asyncio.gather(*(bench.store.begin(start) for start in starts))
        await asyncio.gather(
            *(
                bench.store.add_utterance(s.id, bench.utterance(n))
                for s in starts
                for n in (1, 2, 3)
            )
        )
        for start in starts:
            kept = len((await bench.read(start.id)).utterances)
            assert kept == 3, f"of 3 utterances {kept} are there"

    @pytest.mark.asyncio
    async def test_check(self, bench: TranscriptBench) -> None:
        """check() returns when the store can write.

        A failure usually means that it needs something that is there only after the first write.
        """
        await bench.store.check()

    @pytest.mark.asyncio
    async def test_nothing_is_left_after_close(self, bench: TranscriptBench) -> None:
        """close lets go of every task and thread, may come twice, and open works after it.

        A failure usually means a writer's thread or a pool that nobody ends.
        """
        await bench.begun()
        await bench.store.close()
        await bench.store.close()
        tasks = await bench.before.tasks_left(FREED_WITHIN)
        threads = await bench.before.threads_left(FREED_WITHIN)
        await bench.store.open()
        assert not tasks, f"tasks are left after close: {tasks}"
        assert not threads, f"threads are left after close: {threads}"
