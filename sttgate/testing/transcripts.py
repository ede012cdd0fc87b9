"""The contract of transcript stores as tests: subclass ``TranscriptStoreTests``, write one fixture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest
import pytest_asyncio

from sttgate.errors import ErrorCode, RequestError, StoreError
from sttgate.events import Word
from sttgate.stores import (
    Gap,
    Mark,
    SearchHit,
    SessionEnd,
    SessionQuery,
    SessionStart,
    TranscriptStore,
    Utterance,
)
from sttgate.testing.footprint import Footprint
from sttgate.testing.kit import FREED_WITHIN, Kit

BEGAN = 4_000_000_000.0
"""In the year 2096, so that sessions a store already has do not mix with those of the tests."""

SYNTAX = (
    *("", " ", '"', "'", "*", "%", "_", "(", ")", ":", "^", "\\", "-", "\0", "--", ";"),
    *(
        "AND",
        "OR NOT",
        "NEAR(a b)",
        'a" OR "b',
        "text:word",
        "'; DROP TABLE sessions; --",
        "a" * 5000,
    ),
)


class TranscriptStoreTests(Kit):
    """The contract of transcript stores. Write the fixture ``store``: as made, not yet opened.

    The tests use sessions of their own and delete them; they do not mind what else is stored.
    """

    @pytest.fixture
    def store(self) -> TranscriptStore:
        """Return the store under test."""
        raise NotImplementedError("write a fixture `store` that returns your store")

    @pytest_asyncio.fixture
    async def bench(self, store: TranscriptStore) -> AsyncIterator[TranscriptBench]:
        """Open the store for a test; delete what the test stored, and close it afterwards."""
        before = Footprint()
        await store.open()
        bench = TranscriptBench(store, before)
        try:
            yield bench
        finally:
            await bench.clean_up()

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
        found = await bench.store.get(start.id)
        assert found is not None, "get returned None for a session that was begun"
        assert found.session.start.id == start.id
        assert found.session.start.created_at == pytest.approx(start.created_at)
        assert dict(found.session.start.metadata) == end.metadata, "end does not replace metadata"
        assert found.session.start.title == start.title
        assert found.session.start.client_ref == start.client_ref
        (kept,) = found.utterances
        assert replace(kept, words=tuple(kept.words)) == said, "the utterance has changed"
        closed = found.session.end
        assert closed is not None, "the end of the session is missing"
        assert (closed.state, closed.reason, closed.recording) == ("completed", "client", True)
        assert closed.duration == pytest.approx(end.duration)
        assert tuple(closed.marks) == end.marks
        assert tuple(closed.gaps) == end.gaps
        assert dict(closed.usage) == end.usage
        assert found.session.utterances == 1
        assert found.text == said.text

    @pytest.mark.asyncio
    async def test_unknown_session(self, bench: TranscriptBench) -> None:
        """A session that was never stored is None, and cannot be deleted.

        A failure usually means that "no such row" is treated as an error.
        """
        assert await bench.store.get(str(uuid4())) is None
        assert await bench.store.delete(str(uuid4())) is False

    @pytest.mark.asyncio
    async def test_running_session(self, bench: TranscriptBench) -> None:
        """A session that has begun and not ended can be read, and has no end yet.

        A failure usually means that rows are written only when the session ends.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        found = await bench.store.get(start.id)
        assert found is not None
        assert found.session.end is None
        assert dict(found.session.start.metadata) == start.metadata
        assert len(found.utterances) == 1

    @pytest.mark.asyncio
    async def test_begin_again_changes_nothing(self, bench: TranscriptBench) -> None:
        """Clause 1: begin may be repeated, and what was stored since stays.

        A failure usually means INSERT OR REPLACE, or an error for a key that is there.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        await bench.store.begin(replace(start, title="another"))
        found = await bench.store.get(start.id)
        assert found is not None
        assert found.session.start.title == start.title, "a second begin changed the session"
        assert len(found.utterances) == 1, "a second begin lost what was stored"

    @pytest.mark.asyncio
    async def test_same_number_replaces(self, bench: TranscriptBench) -> None:
        """Clause 1: an utterance with the same number takes the place of the one before.

        A failure usually means a plain INSERT: the gateway sends a growing utterance many times.
        """
        start = await bench.begun()
        said = bench.utterance(1)
        for text in ("the first", "the first words", "the first words of it"):
            await bench.store.add_utterance(start.id, replace(said, text=text))
        found = await bench.store.get(start.id)
        assert found is not None
        assert [each.text for each in found.utterances] == ["the first words of it"]
        assert not await bench.found(start.id, bench.word), "search finds words that were replaced"

    @pytest.mark.asyncio
    async def test_last_end_counts(self, bench: TranscriptBench) -> None:
        """Clause 1: of several ends the last one counts.

        A failure usually means that an end is written only where there is none.
        """
        start = await bench.begun()
        await bench.store.end(start.id, replace(bench.end(), state="interrupted", reason="crash"))
        await bench.store.end(start.id, bench.end())
        found = await bench.store.get(start.id)
        assert found is not None
        assert found.session.end is not None
        assert (found.session.end.state, found.session.end.reason) == ("completed", "client")

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
        found = await bench.store.get(start.id)
        assert found is not None
        assert [each.start for each in found.utterances] == [1.0, 5.0, 9.0]

    @pytest.mark.asyncio
    async def test_stored_is_stored(self, bench: TranscriptBench) -> None:
        """Clause 2: what a call stored before it returned is there after close and open.

        A failure usually means a transaction that is not committed before the call returns.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        await bench.store.close()
        await bench.store.open()
        found = await bench.store.get(start.id)
        assert found is not None, "the session is gone after close and open"
        assert len(found.utterances) == 1

    @pytest.mark.asyncio
    async def test_only_store_errors(self, bench: TranscriptBench) -> None:
        """Clause 3: a call that cannot be done raises StoreError and nothing else.

        A failure usually means that an exception of the database came through: wrap each call.
        """
        start = await bench.begun()
        await bench.store.close()
        try:
            for call in (
                bench.store.check(),
                bench.store.add_utterance(start.id, bench.utterance(1)),
                bench.store.get(start.id),
            ):
                try:
                    await call
                except StoreError:
                    continue
                except Exception as error:
                    raise AssertionError(
                        f"on a closed store {type(error).__name__} came out, not a StoreError"
                    ) from error
        finally:
            await bench.store.open()

    @pytest.mark.asyncio
    async def test_search_finds_words(self, bench: TranscriptBench) -> None:
        """Search finds utterances with all the words, whatever their case and accents.

        A failure usually means a search for the text as a whole, or an index that does not fold.
        """
        start = await bench.begun()
        text = f"Crème brûlée for {bench.word}, please"
        await bench.store.add_utterance(start.id, replace(bench.utterance(1), text=text, words=()))
        for query in (
            bench.word,
            bench.word.upper(),
            f"{bench.word} CREME",
            f"brulee {bench.word}",
        ):
            hits = await bench.found(start.id, query)
            assert hits, "an utterance with all the words was not found"
            (hit,) = hits
            assert hit.utterance == 1
            assert "\x02" in hit.snippet, "the snippet does not mark the match"
            assert "\x03" in hit.snippet, "the snippet does not mark the end of the match"
        assert not await bench.found(start.id, f"{bench.word} {uuid4().hex}"), (
            "an utterance was found that lacks one of the words"
        )

    @pytest.mark.asyncio
    @pytest.mark.parametrize("text", SYNTAX, ids=[f"syntax-{n}" for n in range(len(SYNTAX))])
    async def test_search_takes_no_syntax(self, bench: TranscriptBench, text: str) -> None:
        """Clause 4: whatever a person types is words to look for, never an error.

        A failure usually means that the text is handed to the query language of the index: quote
        each word.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        await bench.store.search(text)
        assert await bench.found(start.id, bench.word), "the session is not found any more"

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
        found = await bench.store.get(start.id)
        assert found is not None
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
            found = await bench.store.get(start.id)
            assert found is not None
            assert len(found.utterances) == 3

    @pytest.mark.asyncio
    async def test_list_in_pages(self, bench: TranscriptBench) -> None:
        """list gives the newest first, each session once, page by page, also those of one moment.

        A failure usually means a cursor that is an offset, or one made of created_at alone.
        """
        starts = [bench.start(created_at=BEGAN + number // 2) for number in range(7)]
        for start in starts:
            await bench.store.begin(start)
        seen, cursor = [], None
        for _ in range(7):
            page = await bench.store.list(SessionQuery(limit=2, cursor=cursor, since=BEGAN))
            assert len(page.sessions) <= 2, "a page is longer than its limit"
            seen += [each.start for each in page.sessions]
            if (cursor := page.cursor) is None:
                break
        assert sorted(each.id for each in seen) == sorted(each.id for each in starts)
        times = [each.created_at for each in seen]
        assert times == sorted(times, reverse=True), "the newest is not first"

    @pytest.mark.asyncio
    async def test_list_by_what_is_asked(self, bench: TranscriptBench) -> None:
        """list gives only sessions of the asked time, provider, language and state.

        A failure usually means `<=` in the place of `<`, or a filter that looks at the start only.
        """
        early = await bench.begun(created_at=BEGAN, provider="kit-one", language="en")
        late = await bench.begun(created_at=BEGAN + 10, provider="kit-two", language="fr")
        end = replace(bench.end(), state="incomplete", provider="kit-two", language="fr")
        await bench.store.end(late.id, end)
        for query, expected in (
            (SessionQuery(since=BEGAN), {early.id, late.id}),
            (SessionQuery(since=BEGAN, until=BEGAN + 10), {early.id}),
            (SessionQuery(since=BEGAN + 5), {late.id}),
            (SessionQuery(since=BEGAN, provider="kit-one"), {early.id}),
            (SessionQuery(since=BEGAN, language="fr"), {late.id}),
            (SessionQuery(since=BEGAN, state="incomplete"), {late.id}),
            (SessionQuery(since=BEGAN, state="active"), {early.id}),
        ):
            page = await bench.store.list(query)
            assert {each.start.id for each in page.sessions} == expected, f"for {query}"

    @pytest.mark.asyncio
    async def test_foreign_cursor(self, bench: TranscriptBench) -> None:
        """Clause 6: a cursor from somewhere else is the caller's mistake, a RequestError.

        A failure usually means that the cursor is decoded without a check.
        """
        for cursor in ("nonsense", "", "AAAA", "\0"):
            with pytest.raises(RequestError) as raised:
                await bench.store.list(SessionQuery(cursor=cursor))
            assert raised.value.code is ErrorCode.BAD_REQUEST

    @pytest.mark.asyncio
    async def test_deleted_is_gone(self, bench: TranscriptBench) -> None:
        """A deleted session is in no answer any more; deleting it again says that there was none.

        A failure usually means that utterances or index entries stay behind.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        assert await bench.found(start.id, bench.word)
        assert await bench.store.delete(start.id) is True
        assert await bench.store.delete(start.id) is False
        assert await bench.store.get(start.id) is None
        assert not await bench.found(start.id, bench.word), "search finds a deleted session"
        page = await bench.store.list(SessionQuery(since=BEGAN))
        assert start.id not in {each.start.id for each in page.sessions}

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
        assert not tasks, f"tasks are left after close: {tasks}"
        threads = await bench.before.threads_left(FREED_WITHIN)
        assert not threads, f"threads are left after close: {threads}"
        await bench.store.open()


class TranscriptBench:
    """An open store, sessions to put into it, and a word that nobody else says."""

    def __init__(self, store: TranscriptStore, before: Footprint) -> None:
        self.store = store
        self.before = before
        self.word = f"kit{uuid4().hex}"
        self._ids: list[str] = []

    def start(self, **changes: object) -> SessionStart:
        """Return a new session."""
        self._ids.append(str(uuid4()))
        start = SessionStart(
            id=self._ids[-1],
            created_at=BEGAN,
            protocol="native/2",
            sample_rate=16_000,
            channels=2,
            provider="kit",
            model="none",
            language="en",
            title="Réunion 🎙",
            client_ref="case 7",
            metadata={"text": "ä", "count": 3, "ratio": 0.1, "yes": True, "none": None},
        )
        return replace(start, **changes)  # type: ignore[arg-type]

    async def begun(self, **changes: object) -> SessionStart:
        """Begin a new session."""
        start = self.start(**changes)
        await self.store.begin(start)
        return start

    def utterance(self, number: int) -> Utterance:
        """Return something said, with the word of this bench in it."""
        return Utterance(
            number=number,
            start=0.1,
            end=2.3,
            text=f"Hello, wörld {self.word}.",
            channel=1,
            speaker="0",
            language="en",
            confidence=0.87,
            provider="kit",
            words=(
                Word(text="Hello,", start=0.1, end=0.7, confidence=0.9, speaker="0"),
                Word(text="wörld", start=1.1, end=2.3),
            ),
            complete=False,
        )

    def end(self) -> SessionEnd:
        """Return how a session ended."""
        return SessionEnd(
            state="completed",
            ended_at=BEGAN + 60.5,
            duration=60.25,
            reason="client",
            recording=True,
            provider="kit",
            model="none",
            language="en",
            metadata={"count": 4},
            marks=(Mark(at=1.5, label="là"),),
            gaps=(Gap(start=3.5, end=4.25, channel=1),),
            usage={"audio_s": 60.25},
        )

    async def found(self, session_id: str, text: str) -> list[SearchHit]:
        """Return the hits of one session."""
        hits = await self.store.search(text)
        return [hit for hit in hits if hit.session.start.id == session_id]

    async def clean_up(self) -> None:
        """Delete what was stored, and close the store."""
        try:
            for session_id in self._ids:
                await self.store.delete(session_id)
        finally:
            await self.store.close()
