"""The contract of transcript stores, clause 4: a text finds the sessions in which it was said."""

from __future__ import annotations

from uuid import uuid4

import pytest

from sttgate.stores import SessionQuery
from sttgate.testing.kit import Kit
from sttgate.testing.sessions import BEGAN, TranscriptBench

WORDLESS = (
    *(
        "",
        " ",
        '"',
        "'",
        "*",
        "%",
        "_",
        "(",
        ")",
        ":",
        "^",
        "\\",
        "-",
        "\0",
        "--",
        ";",
        '""',
        ". .",
    ),
)
SYNTAX = (
    *WORDLESS,
    *("AND", "OR NOT", "NEAR(a b)", 'a" OR "b', "text:word", "'; DROP TABLE sessions; --"),
    "a" * 5000,
)


class SearchingClauses(Kit):
    """Tests of the search; they work on the fixture ``bench`` of ``TranscriptStoreTests``."""

    @pytest.mark.asyncio
    async def test_search_finds_words(self, bench: TranscriptBench) -> None:
        """A text finds utterances with all its words, in any order, whatever case and accents.

        A failure usually means a search for the text as a whole, or an index that does not fold.
        """
        start = await bench.said(f"Crème brûlée for {bench.word}, please")
        for query in (
            bench.word,
            bench.word.upper(),
            f"{bench.word} CREME",
            f"brulee {bench.word}",
        ):
            hits = await bench.hits(start.id, query)
            assert hits, f"an utterance with all the words was not found: {query}"
            (hit,) = hits
            assert (hit.utterance, hit.start) == (1, 1.0), (
                "the hit is not the utterance that matches"
            )
            before, _, rest = hit.snippet.partition("\x02")
            marked, end, _ = rest.partition("\x03")
            assert end, "the snippet does not mark the match with \\x02 and \\x03"
            assert marked, "the snippet marks nothing"
            assert marked not in before, "the snippet marks something else"
        assert await bench.hits(start.id, f"{bench.word} {uuid4().hex}") is None, (
            "an utterance was found that lacks one of the words"
        )

    @pytest.mark.asyncio
    async def test_search_within_one_utterance(self, bench: TranscriptBench) -> None:
        """All words must be in one utterance.

        A failure usually means that each word is looked for in the session as a whole.
        """
        start = await bench.said(f"first {bench.word}", f"second {bench.word}")
        assert await bench.hits(start.id, f"second {bench.word}"), "an utterance was not found"
        hits = await bench.hits(start.id, f"first second {bench.word}")
        assert hits is None, "two utterances were taken for one"

    @pytest.mark.asyncio
    async def test_search_for_a_phrase(self, bench: TranscriptBench) -> None:
        """Words in double quotes stand next to each other in this order; the rest may be anywhere.

        A failure usually means that quotes are dropped before the text is taken apart.
        """
        start = await bench.said(f"the green {bench.word} house")
        assert await bench.hits(start.id, f'"green {bench.word} house"'), "a phrase was not found"
        assert await bench.hits(start.id, f'"GREEN {bench.word}" the'), (
            "a phrase with a word was not found"
        )
        for query in (
            f'"{bench.word} green"',
            f'"the {bench.word}"',
            f'"green house" {bench.word}',
        ):
            assert await bench.hits(start.id, query) is None, f"not said as it is quoted: {query}"

    @pytest.mark.asyncio
    async def test_last_word_may_go_on(self, bench: TranscriptBench) -> None:
        """The last word may be the beginning of a longer one, the words before it may not.

        A failure usually means that only whole words are found, or that every word may go on.
        """
        start = await bench.said(f"the station {bench.word}")
        assert await bench.hits(start.id, bench.word[:12]), (
            "nothing is found before a word is whole"
        )
        assert await bench.hits(start.id, f"{bench.word} stat"), "a last word that goes on"
        assert await bench.hits(start.id, f"stat {bench.word}") is None, "a word in front may go on"
        assert await bench.hits(start.id, bench.word[3:]) is None, "the end of a word is found"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("text", SYNTAX, ids=[f"syntax-{n}" for n in range(len(SYNTAX))])
    async def test_search_takes_no_syntax(self, bench: TranscriptBench, text: str) -> None:
        """Clause 4: whatever a person types is words, never an error; without a word nothing matches.

        A failure usually means that the text is handed to the query language of the index: quote
        each word. Or that no condition is left of a text without a word.
        """
        start = await bench.begun()
        await bench.store.add_utterance(start.id, bench.utterance(1))
        for query in (text, f"{text} {bench.word}"):
            if query == text or text not in WORDLESS:
                hits = await bench.hits(start.id, query)
                assert hits is None, "a session was found in which this was not said"
        assert await bench.hits(start.id, bench.word), "the session is not found any more"

    @pytest.mark.asyncio
    async def test_first_three_hits(self, bench: TranscriptBench) -> None:
        """A session is listed once, with the first of its utterances that match, three at most.

        A failure usually means a row for each match, or hits that are the best and not the first.
        """
        start = await bench.said("nothing", *(f"{bench.word} {n}" for n in range(5)))
        other = await bench.said(f"{bench.word} {bench.word} {bench.word}")
        found = await bench.listed(SessionQuery(text=bench.word))
        once = sorted(each.start.id for each in found) == sorted((start.id, other.id))
        assert once, "a session is missing, or listed more than once"
        hits = await bench.hits(start.id, bench.word)
        shown = [(hit.utterance, hit.start) for hit in hits or ()]
        assert shown == [(2, 2.0), (3, 3.0), (4, 4.0)], f"not the first three: {shown}"
        hits = await bench.hits(other.id, bench.word)
        assert [hit.utterance for hit in hits or ()] == [1], "hits of another session"

    @pytest.mark.asyncio
    async def test_pages_of_a_search(self, bench: TranscriptBench) -> None:
        """What matches comes newest first, in full pages, and with everything else that is asked.

        A failure usually means that a page is read first and searched then, or that a search
        ignores the other conditions.
        """
        starts = []
        for number in range(6):
            text = bench.word if number % 2 == 0 else "something else"
            owner = bench.owner if number < 4 else f"{bench.owner}-2"
            starts.append(await bench.said(text, created_at=BEGAN + number, owner=owner))
        page = await bench.store.list(SessionQuery(text=bench.word, limit=2, since=BEGAN))
        full = [each.start.id for each in page.sessions] == [starts[4].id, starts[2].id]
        assert full, "the first page is not the newest two that match"
        assert all(each.hits for each in page.sessions), "a session of a search has no hits"
        found = await bench.listed(SessionQuery(text=bench.word, limit=2))
        all_of_them = [each.start.id for each in found] == [starts[n].id for n in (4, 2, 0)]
        assert all_of_them, "a session is missing, or on two pages"
        for query, expected in (
            (SessionQuery(text=bench.word, owner=bench.owner), [2, 0]),
            (SessionQuery(text=bench.word, until=BEGAN + 2), [0]),
            (SessionQuery(text=bench.word, state="completed"), []),
            (SessionQuery(text=bench.word, metadata={"count": 3}), [4, 2, 0]),
            (SessionQuery(text=bench.word, metadata={"count": 4}), []),
        ):
            found = await bench.listed(query)
            assert [s.start.id for s in found] == [starts[n].id for n in expected], f"for {query}"
