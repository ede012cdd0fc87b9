"""How utterances become lines of words with times, in the browser it is made for."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page

from tests.archive import Archive
from tests.browser.chromium import address
from tests.browser.conftest import Start

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINES = """
const path = document.querySelector("script[type=module]").src;
const { linesOf } = await import(new URL("session/words.js", path).href);
return linesOf(utterances).map(({ label, start, end, first, text, pieces }) => {
  if (pieces.map((piece) => piece.text).join("") !== text) throw new Error("it is not all there");
  const said = pieces.map(({ text, start }) => (start === undefined ? text : [text, start]));
  return { label, start, end, first, text, said };
});
"""


def utterance(text: str, *words: str | tuple[str, str], number: int = 1, **fields: Any) -> Any:
    """Return an utterance as the API gives it, its words a second each; a pair is a word and a speaker."""
    pairs = [word if isinstance(word, tuple) else (word, None) for word in words]
    return {
        "number": number,
        "start": 0.0,
        "end": float(len(words)),
        "text": text,
        "channel": 0,
        "speaker": None,
        "words": [
            {"text": word, "start": at, "end": at + 1, "confidence": None, "speaker": speaker}
            for at, (word, speaker) in enumerate(pairs)
        ],
    } | fields


async def lines(page: Page, *utterances: Any) -> Any:
    """Return the lines that the page makes of utterances."""
    return await page.evaluate(f"async (utterances) => {{ {LINES} }}", list(utterances))


async def test_words_find_their_place(archive: Archive, start: Start) -> None:
    """The text stays as it is, whatever engines make of its words; what is not found has no time."""
    page = (await (await start())(address(archive.server, "/help"))).page

    async def said(text: str, *words: str) -> Any:
        (line,) = await lines(page, utterance(text, *words))
        assert line["text"] == text
        return line["said"]

    assert await said("Hello, world!", "hello", "world") == [["Hello,", 0], " ", ["world!", 1]]
    assert await said("Twenty-one, I think", "twenty", "one", "I", "think") == [
        ["Twenty", 0],
        "-",
        ["one", 1],
        ", ",
        ["I", 2],
        " ",
        ["think", 3],
    ]
    assert await said("今日は晴れ", "今日", "は", "晴れ") == [["今日", 0], ["は", 1], ["晴れ", 2]]
    assert await said("It costs $5 now", "it", "costs", "five", "dollars", "now") == [
        ["It", 0],
        " ",
        ["costs", 1],
        " $5 now",
    ]
    assert await said("ends", "bends", " ") == [["ends", 0]]
    assert await said("no words") == ["no words"]
    assert await said("İstanbul is far", "İstanbul", "is") == [
        ["İstanbul", 0],
        " ",
        ["is", 1],
        " far",
    ]
    assert await said("", "a") == [""]


async def test_speakers(archive: Archive, start: Start) -> None:
    """A line is what one speaker says; without labels the channel stands for him."""
    page = (await (await start())(address(archive.server, "/help"))).page
    found = await lines(
        page,
        utterance(" Yes. No. Why?", ("yes", "0"), ("no", "1"), ("why", "1"), speaker="0"),
        utterance("So.", ("so", "1"), number=2, start=3.0, end=4.0),
        utterance("Me too.", number=3, start=5.0, end=6.0, channel=1),
    )
    assert [
        (line["label"], line["text"], line["start"], line["end"], line["first"]) for line in found
    ] == [
        ("0", " Yes. ", 0, 1, True),
        ("1", "No. Why?", 1, 3, True),
        ("1", "So.", 3, 4, False),
        ("Channel 2", "Me too.", 5, 6, True),
    ]
