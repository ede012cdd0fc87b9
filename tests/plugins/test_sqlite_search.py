"""What the store ``sqlite`` finds for what people type."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate_sqlite.store import SqliteStore

from .test_sqlite import no_leaked_thread, opened, path, session, store, utterance

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
    """A store with ``TEXTS`` as the utterances 1 to 5 of a session."""
    await store.begin(session(1))
    for number, text in enumerate(TEXTS, 1):
        await store.add_utterance("s1", utterance(number, text))
    return store


async def found(store: SqliteStore, text: str) -> list[int]:
    return [hit.utterance for hit in await store.search(text)]


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


async def test_hit(texts: SqliteStore) -> None:
    """A hit names its session and utterance, and marks the match in the text around it."""
    [hit] = await texts.search("ecole sup")
    assert hit.session.start == session(1)
    assert hit.session.utterances == len(TEXTS)
    assert (hit.utterance, hit.start) == (3, 3.0)
    assert hit.snippet == "\x02ÉCOLE\x03 normale \x02supérieure\x03"


async def test_long_utterance_has_a_short_snippet(store: SqliteStore) -> None:
    """The snippet of a long utterance is the part with the match."""
    await store.begin(session(1))
    await store.add_utterance("s1", utterance(1, "before " * 500 + "needle" + " after" * 500))
    [hit] = await store.search("needle")
    assert "\x02needle\x03" in hit.snippet
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    assert len(hit.snippet) < 300


async def test_limit(store: SqliteStore) -> None:
    """No more than ``limit`` utterances are returned: the newest, whatever session they are of."""
    for number in range(5):
        await store.begin(session(number))
        await store.add_utterance(f"s{number}", utterance(1, "word"))
    hits = await store.search("word", limit=2)
    assert [hit.session.start.id for hit in hits] == ["s4", "s3"]


async def test_index_follows_changes(store: SqliteStore) -> None:
    """A replaced utterance is found by its new words only."""
    await store.begin(session(1))
    await store.add_utterance("s1", utterance(1, "old words"))
    await store.add_utterance("s1", utterance(1, "new words"))
    assert await found(store, "old") == []
    assert await found(store, "new") == [1]
    assert await found(store, "words") == [1]


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
                    assert set(await found(store, query)) <= set(range(1, len(queries) + 1))

    asyncio.run(run())
