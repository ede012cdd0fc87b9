"""The contract of transcript stores: what people change and delete, and the usage that stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sttgate.stores import Scalar, SessionChange, SessionQuery
from sttgate.testing.kit import Kit
from sttgate.testing.sessions import BEGAN, DAY, TranscriptBench


class ChangingClauses(Kit):
    """Tests of changes; they work on the fixture ``bench`` of ``TranscriptStoreTests``."""

    @pytest.mark.asyncio
    async def test_title_is_changed(self, bench: TranscriptBench) -> None:
        """update sets a title, an empty one removes it, and None leaves it; begin keeps the change.

        A failure usually means that an empty title is stored as it is, or that None removes one.
        """
        start = await bench.begun()
        for change, expected in (
            (SessionChange(), start.title),
            (SessionChange(title="neu ß"), "neu ß"),
            (SessionChange(speakers={"0": "Ann"}), "neu ß"),
            (SessionChange(title="", speakers={}), None),
            (SessionChange(title="", speakers={}), None),
        ):
            assert await bench.store.update(start.id, change) is True, "update found nobody"
            await bench.store.begin(start)
            found = await bench.read(start.id)
            assert found.session.start.title == expected, f"after {change}"

    @pytest.mark.asyncio
    async def test_changes_are_merged(self, bench: TranscriptBench) -> None:
        """Speakers and metadata are merged into what is there, and a None removes an entry.

        A failure usually means that the whole mapping is replaced, that a None is stored, or that a
        key with a dot or a quote in it is taken for a path.
        """
        start = await bench.begun(metadata={"a": 1, "b": "x", "none": None})
        for speakers in (
            {"0": "Ann", "1": "Bob"},
            {"0": "Zoë", "2": "Eve"},
            {"1": None, "9": None},
        ):
            await bench.store.update(start.id, SessionChange(speakers=speakers))
        patches: list[dict[str, Scalar]] = [{"b": None, 'c.d "e"': True}, {"a": 2.5, "c": None}]
        for patch in patches:
            await bench.store.update(start.id, SessionChange(metadata=patch))
        expected = {"a": 2.5, "none": None, 'c.d "e"': True}
        found = await bench.store.find(start.id)
        assert found is not None, "find returned None for a session that was begun"
        speakers = dict(found.speakers)
        assert speakers == {"0": "Zoë", "2": "Eve"}, f"the speakers are {speakers}"
        metadata = dict(found.start.metadata)
        assert metadata == expected, f"the metadata is {metadata}"
        assert (await bench.read(start.id)).session == found, "get says something else"
        assert found in await bench.listed(SessionQuery(metadata={"a": 2.5})), "list does not know"

    @pytest.mark.asyncio
    async def test_change_of_an_ended_session(self, bench: TranscriptBench) -> None:
        """A session that has ended can be changed as well, and nothing else of it changes.

        A failure usually means that ``recording`` is only kept by end, or that start and end of a
        session keep metadata of their own.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        await bench.store.end(start.id, bench.end())
        before = await bench.read(start.id)
        assert before.session.end is not None, "the end of the session is missing"
        await bench.store.update(start.id, SessionChange(recording=False))
        after = await bench.read(start.id)
        end = replace(before.session.end, recording=False)
        expected = replace(before, session=replace(before.session, end=end))
        assert after == expected, "recording has not changed, or something else has"
        await bench.store.update(start.id, SessionChange(title="new", metadata={"x": 1}))
        found = await bench.store.find(start.id)
        assert found is not None, "find returned None for a session that was begun"
        metadata = dict(found.start.metadata)
        assert metadata == {"count": 4, "x": 1}, f"the metadata of the start is {metadata}"
        assert found.end is not None, "the end of the session is missing"
        assert found.end.recording is False, "a change of something else changed recording"
        metadata = dict(found.end.metadata or {})
        assert metadata == {"count": 4, "x": 1}, f"the metadata of the end is {metadata}"

    @pytest.mark.asyncio
    async def test_deleted_is_gone(self, bench: TranscriptBench) -> None:
        """A deleted session is in no answer any more; deleting it again says that there was none.

        A failure usually means that utterances or index entries stay behind.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        assert await bench.hits(start.id, bench.word), "the session was not found to begin with"
        assert await bench.store.delete(start.id) is True, "delete says that there was none"
        assert await bench.store.delete(start.id) is False, "delete finds a deleted session"
        assert await bench.store.get(start.id) is None, "get finds a deleted session"
        assert await bench.store.find(start.id) is None, "find finds a deleted session"
        assert await bench.hits(start.id, bench.word) is None, "search finds a deleted session"
        listed = {each.start.id for each in await bench.listed(SessionQuery())}
        assert start.id not in listed, "list has a deleted session"

    @pytest.mark.asyncio
    async def test_begun_again_after_delete(self, bench: TranscriptBench) -> None:
        """A deleted session that is begun once more is a new one, with nothing of the old.

        A failure usually means that utterances stay behind, and are found by the session's id.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        await bench.store.update(start.id, SessionChange(speakers={"0": "Ann"}))
        await bench.store.delete(start.id)
        await bench.store.begin(start)
        found = await bench.read(start.id)
        assert not found.utterances, "the new session has utterances of the deleted one"
        assert found.session.utterances == 0, "the new session counts those of the deleted one"
        assert not found.session.speakers, "the new session has speakers of the deleted one"
        assert await bench.hits(start.id, bench.word) is None, "deleted words are found"

    @pytest.mark.asyncio
    async def test_deleted_utterances_are_gone(self, bench: TranscriptBench) -> None:
        """delete_utterances deletes what was said, and its index; session and neighbours stay.

        A failure usually means that the index, the preview or the counts keep what was said.
        """
        start, other = await bench.begun(), await bench.begun()
        for session in (start, other):
            await bench.store.add_utterance(session.id, bench.utterance(1))
        await bench.store.end(start.id, bench.end())
        before = await bench.store.find(start.id)
        assert before is not None, "find returned None for a session that was begun"
        assert await bench.store.delete_utterances(start.id) is True, "it says there is no session"
        assert await bench.store.delete_utterances(start.id) is True, "there is nothing more to do"
        found = await bench.read(start.id)
        assert not found.utterances, "what was said is still there"
        empty = replace(before, utterances=0, words=0, preview="")
        assert found.session == empty, "counts or preview remain, or the session has changed"
        assert await bench.hits(start.id, bench.word) is None, "deleted words are found"
        assert len((await bench.read(other.id)).utterances) == 1, "another session lost its words"
        assert await bench.hits(other.id, bench.word), "another session is not found any more"

    @pytest.mark.asyncio
    async def test_usage_by_day_and_owner(self, bench: TranscriptBench) -> None:
        """usage adds up each counter of the sessions that ended on a day, for each owner.

        A failure usually means a day of local time, a day of the start and not of the end, or
        ``until`` that is inclusive.
        """
        other = f"{bench.owner}-2"
        for ended_at, owner, usage in (
            (BEGAN + 0.0, bench.owner, {"audio_s": 1.5, "kit.sent_s": 1.0}),
            (BEGAN + DAY - 0.5, bench.owner, {"audio_s": 2.25}),
            (BEGAN + DAY - 0.5, other, {"audio_s": 8.0}),
            (BEGAN + DAY, bench.owner, {"audio_s": 16.0}),
            (BEGAN + DAY + 1, bench.owner, {}),
        ):
            start = await bench.begun(owner=owner, created_at=BEGAN - 1)
            await bench.store.end(start.id, replace(bench.end(), ended_at=ended_at, usage=usage))
        await bench.begun()  # it still runs

        async def used(since: float, until: float) -> list[tuple[object, ...]]:
            days = await bench.used(bench.owner, other, since=since, until=until)
            assert [each.day for each in days] == sorted(each.day for each in days), "no order"
            return sorted((d.day, d.owner, d.sessions, dict(d.usage)) for d in days)

        first = ("2096-10-02", bench.owner, 2, {"audio_s": 3.75, "kit.sent_s": 1.0})
        second = ("2096-10-03", bench.owner, 2, {"audio_s": 16.0})
        of_other = ("2096-10-02", other, 1, {"audio_s": 8.0})
        for since, until, expected in (
            (BEGAN, BEGAN + 2 * DAY, [first, of_other, second]),
            (BEGAN, BEGAN + DAY, [first, of_other]),
            (BEGAN + DAY, BEGAN + 2 * DAY, [second]),
            (BEGAN - DAY, BEGAN, []),
        ):
            rows = await used(since, until)
            assert rows == expected, f"from {since} to {until}: {rows}"

    @pytest.mark.asyncio
    async def test_usage_counts_once_and_stays(self, bench: TranscriptBench) -> None:
        """A session that ends twice counts once, as it ended last; deleting changes nothing.

        A failure usually means that usage is added up when a session ends, which is repeated, or
        read from the sessions that are left.
        """
        start = await bench.begun()
        for audio in (10.0, 20.0, 20.0):
            await bench.store.end(start.id, replace(bench.end(), usage={"audio_s": audio}))
        counted = await bench.used(bench.owner, since=BEGAN, until=BEGAN + DAY)
        rows = [(each.sessions, dict(each.usage)) for each in counted]
        assert rows == [(1, {"audio_s": 20.0})], f"of one session that ended three times: {rows}"
        for delete in (bench.store.delete_utterances, bench.store.delete):
            await delete(start.id)
            left = await bench.used(bench.owner, since=BEGAN, until=BEGAN + DAY)
            assert left == counted, (
                f"the usage of a session is not what it was after {delete.__name__}"
            )

    @pytest.mark.asyncio
    async def test_usage_without_an_owner(self, bench: TranscriptBench) -> None:
        """Sessions without an owner are added up as well; their owner is None.

        A failure usually means a join or a comparison with NULL that loses them.
        """
        before = await bench.used(None, since=BEGAN, until=BEGAN + DAY)
        start = await bench.begun(owner=None)
        await bench.store.end(start.id, bench.end())
        after = await bench.used(None, since=BEGAN, until=BEGAN + DAY)
        assert len(after) == 1, "there is no row, or more than one, for sessions without an owner"
        counted = after[0].sessions - sum(each.sessions for each in before)
        assert counted == 1, f"a session without an owner counts as {counted}"
