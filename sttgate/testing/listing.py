"""The contract of transcript stores, clause 6 and more: pages of sessions, and what they are of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sttgate.errors import ErrorCode, RequestError
from sttgate.stores import Scalar, SessionQuery
from sttgate.testing.kit import Kit
from sttgate.testing.sessions import BEGAN, TranscriptBench

LONGEST_LIST = 30


class ListingClauses(Kit):
    """Tests of the list; they work on the fixture ``bench`` of ``TranscriptStoreTests``."""

    @pytest.mark.asyncio
    async def test_list_in_pages(self, bench: TranscriptBench) -> None:
        """list gives the newest first, each session once, page by page, also those of one moment.

        A failure usually means a cursor that is an offset, or one made of created_at alone.
        """
        starts = [await bench.begun(created_at=BEGAN + number // 3) for number in range(8)]
        listed = [each.start for each in await bench.listed(SessionQuery(limit=2))]
        once = sorted(each.id for each in listed) == sorted(each.id for each in starts)
        assert once, "a session is missing, or on two pages"
        times = [each.created_at for each in listed]
        assert times == sorted(times, reverse=True), "the newest is not first"

    @pytest.mark.asyncio
    async def test_list_while_sessions_are_added(self, bench: TranscriptBench) -> None:
        """Each session that was there is on one page, also while newer ones come in between.

        A failure usually means a cursor that is an offset: the newer ones push the list along.
        """
        starts = [await bench.begun(created_at=BEGAN + number) for number in range(5)]
        seen: list[str] = []
        query = SessionQuery(limit=2, since=BEGAN)
        for number in range(LONGEST_LIST):
            page = await bench.store.list(query)
            seen += [each.start.id for each in page.sessions]
            if page.cursor is None:
                break
            query = replace(query, cursor=page.cursor)
            await bench.begun(created_at=BEGAN + 100 + number)
        once = seen == [start.id for start in reversed(starts)]
        assert once, "a session is missing, on two pages, or newer than the first page"

    @pytest.mark.asyncio
    async def test_list_by_what_is_asked(self, bench: TranscriptBench) -> None:
        """list gives only sessions of the asked time, provider, language, state and owner.

        A failure usually means `<=` in the place of `<`, or a filter that looks at the start only.
        """
        other = f"{bench.owner}-2"
        early = await bench.begun(created_at=BEGAN, provider="kit-one", language="en")
        late = await bench.begun(
            created_at=BEGAN + 10, provider="kit-one", language="en", owner=other
        )
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
            (SessionQuery(since=BEGAN, owner=bench.owner), {early.id}),
            (SessionQuery(since=BEGAN, owner=other), {late.id}),
            (SessionQuery(since=BEGAN, owner=other, state="active"), set()),
        ):
            page = await bench.store.list(query)
            assert {each.start.id for each in page.sessions} == expected, f"for {query}"

    @pytest.mark.asyncio
    async def test_list_by_metadata(self, bench: TranscriptBench) -> None:
        """list gives only sessions that have all the asked metadata, as it is now.

        A failure usually means that one value of several is enough, that a number is compared with
        a text, or that a filter looks at what begin stored and not at what end replaced.
        """
        one = await bench.begun(metadata={"desk": "a", "count": 3, "vip": True})
        two = await bench.begun(metadata={"desk": "a", "count": 4, "ratio": 0.5})
        end = await bench.begun(metadata={"desk": "a"})
        await bench.store.end(end.id, replace(bench.end(), metadata={"desk": "b", "odd ' \"": 1}))
        cases: list[tuple[dict[str, Scalar], set[str]]] = [
            ({"desk": "a"}, {one.id, two.id}),
            ({"desk": "b"}, {end.id}),
            ({"desk": "a", "count": 3}, {one.id}),
            ({"desk": "b", "count": 3}, set()),
            ({"count": "3"}, set()),
            ({"vip": True}, {one.id}),
            ({"vip": False}, set()),
            ({"ratio": 0.5}, {two.id}),
            ({"odd ' \"": 1}, {end.id}),
            ({"": "a"}, set()),
        ]
        for metadata, expected in cases:
            page = await bench.store.list(SessionQuery(since=BEGAN, metadata=metadata))
            assert {each.start.id for each in page.sessions} == expected, f"for {metadata}"

    @pytest.mark.asyncio
    async def test_foreign_cursor(self, bench: TranscriptBench) -> None:
        """Clause 6: a cursor from somewhere else is the caller's mistake, a RequestError.

        A failure usually means that the cursor is decoded without a check.
        """
        for cursor in ("nonsense", "", "AAAA", "\0"):
            with pytest.raises(RequestError) as raised:
                await bench.store.list(SessionQuery(cursor=cursor))
            code = raised.value.code
            assert code is ErrorCode.BAD_REQUEST, f"the code is {code}, not bad_request"
