"""Who says what: words, their punctuation, their times and their speakers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sttgate.events import Word
from sttgate.exports.turns import cut, turns
from sttgate.stores import Utterance
from tests.exports.said import conversation, say


def spoken(text: str, *words: str) -> Utterance:
    """Return an utterance with a word each second."""
    timed = [Word(text=word, start=n, end=n + 0.5) for n, word in enumerate(words)]
    return Utterance(number=1, start=0.0, end=float(len(words)), text=text, words=tuple(timed))


@pytest.mark.parametrize(
    ("text", "words", "pieces"),
    [
        ("So it is.", ["so", "it", "is"], ["So", "it", "is."]),
        ("So — it is — yes!", ["so", "it", "is", "yes"], ["So —", "it", "is —", "yes!"]),
        ("你好世界。好", ["你好", "世界", "好"], ["你好", "世界。", "好"]),
        ("“Well” (yes)", ["well", "yes"], ["“Well”", "(yes)"]),
        ("New York now", ["new york", "now"], ["New York", "now"]),
    ],
)
def test_punctuation(text: str, words: list[str], pieces: list[str]) -> None:
    """A word has the punctuation that touches it, and its own time."""
    found = cut(spoken(text, *words))
    assert [piece.text for piece in found] == pieces
    assert [piece.start for piece in found] == list(range(len(words)))


def test_spelled_differently() -> None:
    """The text counts; where it is not the words, the words still give the times."""
    found = cut(spoken("It costs $20, doesn't it?", "it", "costs", "twenty", "dollars", "not"))
    assert [piece.text for piece in found] == ["It", "costs", "$20,", "doesn't", "it?"]
    assert [piece.start for piece in found] == sorted(piece.start for piece in found)
    assert 0.0 <= found[0].start < 1.0
    assert 3.0 < found[-1].end <= 4.5


def test_control_characters() -> None:
    """A word that nobody sees is none."""
    found = cut(spoken("\x08 yes", "\x08", "yes"))
    assert [(piece.text, piece.start) for piece in found] == [("yes", 1.0)]


def test_speakers_within_an_utterance() -> None:
    """Who speaks is said word for word; a name that was given counts."""
    said = say("is it so yes it is", speaker="0")
    words = [replace(word, speaker="0" if n < 3 else "guest") for n, word in enumerate(said.words)]
    found = turns(conversation([replace(said, words=tuple(words))], speakers={"0": "Ann"}))
    assert [(turn.speaker, turn.text) for turn in found] == [
        ("Ann", "is it so"),
        ("guest", "yes it is"),
    ]


def test_order() -> None:
    """Turns come in the order they begin, whatever the order they are stored in."""
    said = conversation([say("second", 5.0, speaker="1"), say("first", 1.0, speaker="0")])
    assert [turn.text for turn in turns(said)] == ["first", "second"]
