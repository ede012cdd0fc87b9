"""What the store ``sqlite`` finds for what people type."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate import Hit, SessionQuery
from sttgate_sqlite.store import SqliteStore

from .test_sqlite import END, no_leaked_thread, opened, path, session, store, utterance
from .test_sqlite import found as sessions_found

__all__ = ["no_leaked_thread", "path", "store"]  # fixtures

TEXTS = (
    "The café on Straße nine is open.",
    "Don't open the e-mail, NOT yet",
    "ÉCOLE normale supérieure",
    "the open café",
    "NEAR the station: gate 12",
)


@pytest.fixture
async def texts(store: SqliteStore) -> SqliteStore:
    """A store with each of ``TEXTS`` in a session of its own, s1 to s5."""
    for number, text in enumerate(TEXTS, 1):
        await store.begin(session(number))
        await store.add_utterance(f"s{number}", utterance(1, text))
    return store


async def found(store: SqliteStore, text: str) -> list[int]:
    """Return the numbers of the sessions that match, the newest first."""
    return [int(session_id[1:]) for session_id in await sessions_found(store, text)]


async def hits(store: SqliteStore, text: str) -> Sequence[Hit]:
    """Return the hits of the only session that matches."""
    [stored] = (await store.list(SessionQuery(text=text))).sessions
    return stored.hits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cafe", [4, 1]),
        ("CAFÉ", [4, 1]),
        ("cafe\u0301", [4, 1]),
        ("école SUPERIEURE", [3]),
        ("open cafe", [4, 1]),
        ("cafe gate", []),
    ],
)
async def test_folding_and_all_words(texts: SqliteStore, text: str, expected: list[int]) -> None:
    """All words must be there, in any order; case and accents do not count; the newest is first."""
    assert await found(texts, text) == expected


async def test_last_word_may_be_unfinished(texts: SqliteStore) -> None:
    """The last word matches as the beginning of a word, the others only whole."""
    assert await found(texts, "stat") == [5]
    assert await found(texts, "gate stati") == [5]
    assert await found(texts, "stati gate") == []
    assert await found(texts, "n") == [5, 3, 2, 1]
    assert await found(texts, "stat  ") == [5]


async def test_words_in_quotes_stay_together(texts: SqliteStore) -> None:
    """Words in double quotes are found only as they stand; a lone quote means nothing."""
    assert await found(texts, '"open cafe"') == [4]
    assert await found(texts, '"cafe open"') == []
    assert await found(texts, '"open caf"') == []
    assert await found(texts, '"the café" open') == [1]
    assert await found(texts, 'cafe "open') == [4, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NOT", [2]),
        ("open NOT cafe", []),
        ("gate OR cafe", []),
        ("near(gate)", []),
        ("text:gate", []),
        ("station: gate", [5]),
        ("e-mail", [2]),
        ("don't", [2]),
        ("^the", [5, 4, 2, 1]),
        ("gate*", [5]),
        ("gate -- ;", [5]),
        ("'", []),
        ("*", []),
        ('""', []),
        ("\0", []),
        ("gate\0station", [5]),
        ("\ud800", []),
        (" ", []),
        ("", []),
    ],
)
async def test_nothing_is_query_syntax(texts: SqliteStore, text: str, expected: list[int]) -> None:
    """Operators and punctuation of the query language are words, or nothing."""
    assert await found(texts, text) == expected


async def test_words_of_one_utterance(store: SqliteStore) -> None:
    """All words must be in one utterance; what two of them say together does not count."""
    await store.begin(session(1))
    await store.add_utterance("s1", utterance(1, "to the station"))
    await store.add_utterance("s1", utterance(2, "from the gate"))
    assert await found(store, "station gate") == []
    assert await found(store, "station the") == [1]


async def test_hit(texts: SqliteStore) -> None:
    """A hit names its utterance and its time, and marks the match in the text around it."""
    [hit] = await hits(texts, "ecole sup")
    assert (hit.utterance, hit.start) == (1, 1.0)
    assert hit.snippet == "\x02ÉCOLE\x03 normale \x02supérieure\x03"


async def test_first_three_hits_of_each_session(store: SqliteStore) -> None:
    """Each session comes with its own first hits, three at most, and in the order of utterances."""
    for number in range(1, 4):
        await store.begin(session(number))
        for place in range(1, 2 * number):
            await store.add_utterance(f"s{number}", utterance(2 * place, f"word {number} {place}"))
            await store.add_utterance(f"s{number}", utterance(2 * place + 1, "nothing"))
    page = await store.list(SessionQuery(text="word"))
    shown = {s.start.id: [(hit.utterance, hit.snippet) for hit in s.hits] for s in page.sessions}
    assert shown == {
        f"s{number}": [
            (2 * place, f"\x02word\x03 {number} {place}")
            for place in range(1, min(3, 2 * number - 1) + 1)
        ]
        for number in (3, 2, 1)
    }


async def test_list_without_a_text_has_no_hits(texts: SqliteStore) -> None:
    """Hits belong to a search."""
    page = await texts.list(SessionQuery())
    assert [s.hits for s in page.sessions] == [()] * len(TEXTS)


async def test_long_utterance_has_a_short_snippet(store: SqliteStore) -> None:
    """The snippet of a long utterance is the part with the match."""
    await store.begin(session(1))
    await store.add_utterance("s1", utterance(1, "before " * 500 + "needle" + " after" * 500))
    [hit] = await hits(store, "needle")
    assert "\x02needle\x03" in hit.snippet
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    assert len(hit.snippet) < 300


async def test_pages_of_a_search(store: SqliteStore) -> None:
    """A search comes in pages like the list, and each page has the hits of its sessions."""
    for number in range(7):
        await store.begin(session(number))
        await store.add_utterance(f"s{number}", utterance(1, "even" if number % 2 == 0 else "odd"))
    page = await store.list(SessionQuery(text="even", limit=3))
    assert [(s.start.id, len(s.hits)) for s in page.sessions] == [("s6", 1), ("s4", 1), ("s2", 1)]
    page = await store.list(SessionQuery(text="even", limit=3, cursor=page.cursor))
    assert [(s.start.id, len(s.hits)) for s in page.sessions] == [("s0", 1)]
    assert page.cursor is None


async def test_search_and_filters(store: SqliteStore) -> None:
    """A search can be narrowed like the list: what is found matches everything that is asked."""
    for number, owner in ((1, "ann"), (2, "bob"), (3, "ann"), (4, None)):
        await store.begin(session(number, owner=owner, metadata={"desk": number % 2}))
        await store.add_utterance(f"s{number}", utterance(1, "word" if number < 4 else "other"))
    await store.end("s3", END)

    async def ids(**filters: object) -> list[str]:
        page = await store.list(SessionQuery(text="word", **filters))
        return [s.start.id for s in page.sessions]

    assert await ids() == ["s3", "s2", "s1"]
    assert await ids(owner="ann") == ["s3", "s1"]
    assert await ids(owner="ann", state="active") == ["s1"]
    assert await ids(metadata={"desk": 0}) == ["s2"]
    assert await ids(owner="ann", metadata={"desk": 0}) == []
    assert await ids(since=session(2).created_at, until=session(3).created_at) == ["s2"]


async def test_index_follows_changes(store: SqliteStore) -> None:
    """A replaced utterance is found by its new words only."""
    await store.begin(session(1))
    await store.add_utterance("s1", utterance(1, "old words"))
    await store.add_utterance("s1", utterance(1, "new words"))
    assert await found(store, "old") == []
    assert await found(store, "new") == [1]
    assert await found(store, "words") == [1]


async def test_session_after_a_deleted_one(store: SqliteStore) -> None:
    """A session that is begun right after the newest was deleted has nothing of that one."""
    await store.begin(session(1))
    await store.add_utterance("s1", utterance(1, "old words"))
    await store.delete("s1")
    await store.begin(session(2))
    assert await found(store, "words") == []
    await store.add_utterance("s2", utterance(1, "new words"))
    assert await found(store, "old") == []
    assert await found(store, "words") == [2]


async def test_very_long_query(texts: SqliteStore) -> None:
    """A query of a book's length is answered; words beyond the 32nd do not count."""
    assert await found(texts, "gate " * 32 + "nowhere " * 10_000) == [5]
    assert await found(texts, "x" * 1_000_000) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=20))
def test_search_never_fails(queries: list[str]) -> None:
    """Whatever is typed, a search answers, and what it finds is there."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with opened(Path(folder) / "x.db", synchronous="normal") as store:
                await store.begin(session(1))
                for number, text in enumerate(queries, 1):
                    await store.add_utterance("s1", utterance(number, text))
                for query in queries:
                    for stored in (await store.list(SessionQuery(text=query))).sessions:
                        numbers = [hit.utterance for hit in stored.hits]
                        assert 1 <= len(numbers) <= 3
                        assert set(numbers) <= set(range(1, len(queries) + 1))

    asyncio.run(run())
