"""What holds for the exports of every conversation, however it was said and timed."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from itertools import pairwise, zip_longest

from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate.events import Word
from sttgate.exports import FORMATS, export
from sttgate.exports.characters import clean, width
from sttgate.exports.cues import GAP, SHORTEST, cues
from sttgate.exports.turns import speakers, turns
from sttgate.stores import Conversation, Utterance
from tests.exports.players import read_srt, read_vtt
from tests.exports.said import conversation

SPELLINGS = st.one_of(
    st.sampled_from(
        ["yes", "no,", "well.", "What?", "extraordinarily", "12", "a", "世界", "。", "x" * 50]
    ),
    st.sampled_from(["<b>", "-->", "&amp;", "{\\an8}", "00:00:01,000", "WEBVTT", "NOTE", "\\N"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
LABELS = st.none() | st.sampled_from(["0", "1", "<v>"])
NAMES = st.dictionaries(st.sampled_from(["0", "1"]), st.sampled_from(["Ann", "Ben", "-->", ""]))
ANY_TIME = st.floats(0, 100) | st.just(5.0)


@st.composite
def orderly(draw: st.DrawFn) -> Conversation:
    """One voice, whose words follow each other in time as providers promise."""
    at, utterances = 0.0, []
    for number in range(1, draw(st.integers(0, 4)) + 1):
        words = []
        for text in draw(st.lists(SPELLINGS, min_size=1, max_size=30)):
            at += draw(st.sampled_from([0.0, 0.0, 0.1, 0.5, 3.0]))
            end = at + draw(st.sampled_from([0.05, 0.2, 0.4, 1.0]))
            words.append(Word(text=text, start=at, end=end))
            at = end
        utterances.append(
            Utterance(
                number=number,
                start=words[0].start,
                end=words[-1].end,
                text=" ".join(word.text for word in words),
                words=tuple(words),
            )
        )
    return conversation(utterances)


@st.composite
def wild(draw: st.DrawFn) -> Conversation:
    """Any voices, texts, words and times, in any order."""
    words = st.builds(
        Word, text=SPELLINGS, start=ANY_TIME, end=ANY_TIME, confidence=st.none(), speaker=LABELS
    )
    utterances = st.builds(
        Utterance,
        number=st.integers(1, 9),
        start=ANY_TIME,
        end=ANY_TIME,
        text=st.lists(SPELLINGS, max_size=12).map(" ".join),
        channel=st.integers(0, 1),
        speaker=LABELS,
        words=st.lists(words, max_size=12).map(tuple),
    )
    return conversation(draw(st.lists(utterances, max_size=5)), speakers=draw(NAMES))


def letters(text: str) -> str:
    """Return a text without white space: that is where lines break."""
    return "".join(text.split())


@given(orderly())
@settings(deadline=None)
def test_every_word_in_order(said: Conversation) -> None:
    """Text and subtitles have every word, in the order it was said."""
    expected = letters(clean(said.text))
    assert letters(export(said, "txt").text) == expected
    assert letters(
        "".join(line for cue in cues(turns(said), named=False) for line in cue.lines)
    ) == (expected)
    assert letters("".join(cue.text for cue in read_vtt(said))) == expected


@given(wild())
@settings(deadline=None)
def test_every_word(said: Conversation) -> None:
    """Even if times say nonsense every word is there."""
    expected = Counter(letters(" ".join(clean(utterance.text) for utterance in said.utterances)))
    assert Counter("".join(letters(cue.text) for cue in read_vtt(said))) == expected
    shown = cues(turns(said), named=False)
    assert Counter(letters("".join(line for cue in shown for line in cue.lines))) == expected
    text = export(said, "txt").text
    assert not expected - Counter(letters(text))


@given(orderly() | wild())
@settings(deadline=None)
def test_times(said: Conversation) -> None:
    """Subtitles are in order, last a while but not for ever, and wait for the one before."""
    for read in (read_srt, read_vtt):
        shown = read(said)
        assert all(SHORTEST <= cue.end - cue.start <= 7_000 for cue in shown)
        assert all(one.start <= next_.start for one, next_ in pairwise(shown))
    voices = defaultdict(list)
    for cue in cues(turns(said), named=True):
        voices[cue.channel, cue.speaker].append(cue)
    for voice in voices.values():
        assert all(one.end + GAP <= next_.start for one, next_ in pairwise(voice))


@given(orderly())
@settings(deadline=None)
def test_time_to_read(said: Conversation) -> None:
    """A subtitle is shorter than a second, or too short to be read, only if the next one waits."""
    shown = cues(turns(said), named=False)
    for cue, after in zip_longest(shown, shown[1:]):
        columns = sum(width(line) for line in cue.lines)
        wanted = min(7_000, max(1_000, columns * 50))
        assert cue.end - cue.start >= wanted or (after and after.start - cue.end <= GAP)


@given(orderly() | wild())
@settings(deadline=None)
def test_lines(said: Conversation) -> None:
    """There are at most two lines of 42 columns, and none is empty."""
    for cue in [*read_srt(said), *read_vtt(said)]:
        assert 1 <= len(cue.lines) <= 2
        assert all(line for line in cue.lines)
    for plain in cues(turns(said), named=False):
        assert all(len(line) <= 42 for line in plain.lines if line.isascii())


@given(orderly() | wild())
@settings(deadline=None)
def test_parsers_agree(said: Conversation) -> None:
    """Parsers find as many subtitles as there are, with the speakers that there are."""
    several = len(speakers(turns(said))) > 1
    shown = cues(turns(said), named=several)
    srt, vtt = read_srt(said), read_vtt(said)
    assert [(cue.start, cue.end) for cue in srt] == [(cue.start, cue.end) for cue in shown]
    assert len(vtt) == len(cues(turns(said), named=False))
    if several:
        assert {cue.speaker for cue in vtt} == set(speakers(turns(said)))


@given(wild())
@settings(deadline=None)
def test_files(said: Conversation) -> None:
    """Every file is UTF-8, ends with a line feed or is empty, and has no control characters."""
    for format in FORMATS:
        text = export(said, format).text
        assert text.encode().decode() == text
        assert text.endswith("\n") or not text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", text) or format == "json"
    assert json.loads(export(said, "json").text)["text"] == said.text
