"""The list of sessions of the store ``sqlite``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sttgate import SessionChange, SessionQuery
from sttgate.errors import RequestError
from sttgate.stores import Scalar
from sttgate_sqlite.store import SqliteStore

from .test_sqlite import END, no_leaked_thread, path, session, store

__all__ = ["no_leaked_thread", "path", "store"]  # fixtures


async def test_list_pages_are_stable(store: SqliteStore) -> None:
    """Pages go from new to old without a gap or a double, also while sessions are added."""
    for number in range(10):
        await store.begin(session(number, created_at=1_760_000_000.0 + number // 3))
    expected = [s.start.id for s in (await store.list(SessionQuery())).sessions]
    assert expected == ["s9", "s8", "s7", "s6", "s5", "s4", "s3", "s2", "s1", "s0"]
    seen: list[str] = []
    cursor = None
    for number in range(100, 104):
        page = await store.list(SessionQuery(limit=3, cursor=cursor))
        seen += [s.start.id for s in page.sessions]
        cursor = page.cursor
        await store.begin(session(number))
    assert seen == expected
    assert cursor is None


async def test_full_last_page_has_no_cursor(store: SqliteStore) -> None:
    """A page that ends with the oldest session does not promise another."""
    for number in range(4):
        await store.begin(session(number))
    page = await store.list(SessionQuery(limit=2))
    page = await store.list(SessionQuery(limit=2, cursor=page.cursor))
    assert [s.start.id for s in page.sessions] == ["s1", "s0"]
    assert page.cursor is None


async def test_list_filters(store: SqliteStore) -> None:
    """The list can be narrowed by time, provider, language and state, and by several at once."""
    await store.begin(session(1, provider="echo", language="en"))
    await store.begin(session(2, provider="echo", language="fr"))
    await store.begin(session(3, provider="deepgram", language="fr"))
    await store.end("s1", replace(END, provider=None, language=None))

    async def ids(**filters: object) -> list[str]:
        page = await store.list(SessionQuery(**filters))
        return [s.start.id for s in page.sessions]

    assert await ids(provider="echo") == ["s2", "s1"]
    assert await ids(language="fr") == ["s3", "s2"]
    assert await ids(provider="echo", language="fr") == ["s2"]
    assert await ids(state="active") == ["s3", "s2"]
    assert await ids(state="completed") == ["s1"]
    assert await ids(since=1_760_000_002.0) == ["s3", "s2"]
    assert await ids(until=1_760_000_002.0) == ["s1"]
    assert await ids(provider="nobody") == []


@pytest.mark.parametrize("cursor", ["", "x", "é", "W10=", "WzEsMl0=", "!!!!", "bnVsbA=="])
async def test_bad_cursor(store: SqliteStore, cursor: str) -> None:
    """A cursor that is not from a page is the caller's mistake, not the store's."""
    with pytest.raises(RequestError, match="cursor"):
        await store.list(SessionQuery(cursor=cursor))


async def test_list_by_owner(store: SqliteStore) -> None:
    """The list can be narrowed to the sessions of one owner, together with everything else."""
    for number, owner in enumerate(("ann", "bob", None, "ann")):
        await store.begin(session(number, owner=owner, language="en" if number else "fr"))

    async def ids(**filters: object) -> list[str]:
        page = await store.list(SessionQuery(**filters))
        return [s.start.id for s in page.sessions]

    assert await ids(owner="ann") == ["s3", "s0"]
    assert await ids(owner="ann", language="fr") == ["s0"]
    assert await ids(owner="") == []
    assert await ids(owner="nobody") == []


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"desk": "a"}, ["s2", "s1"]),
        ({"desk": "a", "count": 3}, ["s1"]),
        ({"count": 3.0}, ["s1"]),
        ({"count": 1}, ["s2"]),
        ({"count": True}, ["s3"]),
        ({"count": "3"}, []),
        ({"note": None}, ["s1"]),
        ({"desk": None}, []),
        ({'$."x.y"': "z"}, ["s3"]),
        ({"x.y": "z"}, []),
        ({"": ""}, ["s3"]),
        ({"desk": "A"}, []),
        ({"desk": "\ud83d"}, []),
        ({}, ["s3", "s2", "s1"]),
    ],
)
async def test_list_by_metadata(
    store: SqliteStore, asked: dict[str, Scalar], expected: list[str]
) -> None:
    """Sessions are found that have all the values: of the same type, but a number is a number."""
    await store.begin(session(1, metadata={"desk": "a", "count": 3, "note": None}))
    await store.begin(session(2, metadata={"desk": "a", "count": 1}))
    await store.begin(session(3, metadata={"count": True, '$."x.y"': "z", "": ""}))
    page = await store.list(SessionQuery(metadata=asked))
    assert [s.start.id for s in page.sessions] == expected


async def test_metadata_is_looked_for_as_it_is_now(store: SqliteStore) -> None:
    """What end replaced or somebody changed is what the list goes by."""
    await store.begin(session(1, metadata={"desk": "a"}))
    await store.end("s1", replace(END, metadata={"desk": "b"}))
    await store.update("s1", SessionChange(metadata={"floor": 2}))
    for metadata, count in (({"desk": "a"}, 0), ({"desk": "b", "floor": 2}, 1)):
        assert len((await store.list(SessionQuery(metadata=metadata))).sessions) == count
