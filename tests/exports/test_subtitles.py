"""SubRip and WebVTT: what is on the screen, and for how long."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sttgate.exports import export
from sttgate.stores import Utterance
from tests.exports.players import Shown, read_srt, read_vtt
from tests.exports.said import conversation, say

SENTENCES = (
    "The quick brown fox jumps over the lazy dog, and then it sleeps for a while. "
    "Nobody in the village knows why it did that, but everybody that I met there has a theory "
    "about it by now."
)


def test_files() -> None:
    """Both files, letter by letter."""
    said = conversation(
        [say("Good morning.", 1.0, speaker="0"), say("Hello there!", 61.25, speaker="1")],
        speakers={"1": "Ben"},
    )
    assert export(said, "srt").text == (
        "1\n00:00:01,000 --> 00:00:02,200\nSpeaker 0: Good morning.\n\n"
        "2\n00:01:01,250 --> 00:01:02,250\nBen: Hello there!\n"
    )
    assert export(said, "vtt").text == (
        "WEBVTT\n\n"
        "00:00:01.000 --> 00:00:02.000\n<v Speaker 0>Good morning.\n\n"
        "00:01:01.250 --> 00:01:02.250\n<v Ben>Hello there!\n"
    )


def test_breaks() -> None:
    """A subtitle ends with a sentence, a clause where a sentence is too long for one."""
    cues = read_vtt(conversation([say(SENTENCES)]))
    assert [cue.text.replace("\n", " ") for cue in cues] == [
        "The quick brown fox jumps over the lazy dog, and then it sleeps for a while.",
        "Nobody in the village knows why it did that,",
        "but everybody that I met there has a theory about it by now.",
    ]


def test_lines() -> None:
    """What does not fit on a line is broken near its middle, rather at a comma than elsewhere."""
    for text in (
        "I have been there before,\nbut nobody remembers me.",
        "The first of these, although\nsmall and old, was the best.",
    ):
        [cue] = read_vtt(conversation([say(text)]))
        assert cue.text == text


def test_pause() -> None:
    """A pause ends a subtitle, and the next one appears when somebody speaks again."""
    first, second = read_srt(conversation([say("one two three four", pauses={2: 3.0})]))
    assert (first.text, second.text) == ("one two", "three four")
    assert first.end <= 1_000 + 500
    assert second.start == 3_800


def test_short_sentences_stay_together() -> None:
    """Sentences that would flash by share a subtitle."""
    [cue] = read_srt(conversation([say("Yes. No. Well, yes.")]))
    assert cue.text == "Yes. No. Well, yes."


def test_utterances_that_follow_closely() -> None:
    """A word in an utterance of its own shares a subtitle with what follows at once."""
    said = [say("Yes.", 0.0), say("I think so too.", 0.5)]
    assert [cue.text for cue in read_srt(conversation(said))] == ["Yes. I think so too."]


def test_time_to_read() -> None:
    """What is said fast stays on in the silence after it, at 20 columns a second."""
    text = "Extraordinarily complicated considerations notwithstanding, unfortunately."
    [cue] = read_srt(conversation([say(text, rate=6.0)]))
    assert cue.end - cue.start == sum(map(len, cue.lines)) * 50


def test_time_to_read_ends_with_the_next() -> None:
    """It makes room for the next one, two frames before it."""
    said = [say("extraordinarily complicated considerations", rate=6.0), say("yes", 1.5)]
    first, second = read_srt(conversation(said))
    assert (first.end, second.start) == (1_420, 1_500)


def test_two_at_once() -> None:
    """Who speaks while somebody else does is shown at the same time."""
    said = [
        say("a long story about nothing at all", speaker="0"),
        say("mhm", 1.2, speaker="1"),
    ]
    story, assent = read_vtt(conversation(said))
    assert story.start < assent.start < assent.end < story.end
    assert assent.end - assent.start == 1_000


def test_makes_room_for_another_speaker() -> None:
    """A subtitle that could be read does not stay on when the next speaker begins."""
    said = [
        say("extraordinarily complicated considerations indeed", rate=3.0, speaker="0"),
        say("What?", 1.4, speaker="1"),
    ]
    first, second = read_vtt(conversation(said))
    assert (first.end, second.start) == (1_320, 1_400)


def test_one_speaker_needs_no_name() -> None:
    """SubRip names nobody where only one speaks; WebVTT says who it is if that is known."""
    known = conversation([say("Hello.", speaker="0")], speakers={"0": "Ann"})
    assert [cue.text for cue in read_srt(known)] == ["Hello."]
    assert [(cue.speaker, cue.text) for cue in read_vtt(known)] == [("Ann", "Hello.")]
    assert [cue.speaker for cue in read_vtt(conversation([say("Hello.")]))] == [None]


def test_channels() -> None:
    """Channels without speakers are told apart like speakers."""
    said = conversation([say("Hello.", 0.0), say("Hi.", 2.0, channel=1)])
    assert [cue.text for cue in read_srt(said)] == ["Channel 1: Hello.", "Channel 2: Hi."]
    assert [cue.speaker for cue in read_vtt(said)] == ["Channel 1", "Channel 2"]


def test_name_takes_room() -> None:
    """The name counts as part of the first line; a very long one makes that line longer."""
    said = [say(SENTENCES, speaker="0"), say("Well.", 60.0, speaker="1")]
    for cue in read_srt(conversation(said, speakers={"0": "Alexandra"})):
        assert cue.text.startswith(("Alexandra: ", "Speaker 1: "))
        assert len(cue.lines) <= 2
        assert all(len(line) <= 42 for line in cue.lines)
    long = conversation(said, speakers={"0": "Alexandra " * 5})
    assert {len(cue.lines) for cue in read_srt(long)} <= {1, 2}


def test_words_without_times() -> None:
    """Without times of words, those of the utterance are shared out among the characters."""
    cues = read_vtt(conversation([say(SENTENCES, timed=False)]))
    assert cues[0].text.endswith("for a while.")
    assert all(1_000 <= cue.end - cue.start <= 7_000 for cue in cues)
    timed = read_vtt(conversation([say(SENTENCES)]))
    for cue, like in zip(cues, timed, strict=True):
        assert abs(cue.start - like.start) < 1_000


def test_no_times_at_all() -> None:
    """Even what has no time at all is shown for a moment, one after the other."""
    cues = read_srt(conversation([say(SENTENCES, rate=1e9)]))
    assert all(cue.end - cue.start >= 300 for cue in cues)
    assert all(a.end < b.start for a, b in pairwise(cues))


def test_wide_characters() -> None:
    """A line has room for half as many Chinese characters; none begins with a full stop."""
    said = conversation([say("你好世界。我们今天谈谈天气。" * 6, rate=0.05)])
    cues = read_srt(said)
    lines = [line for cue in cues for line in cue.lines]
    assert "".join(lines) == said.text
    assert all(len(line) <= 21 for line in lines)
    assert not any(line.startswith("。") for line in lines)


HOSTILE = [
    "<i>so</i> <v Eve>it</v> <00:00:09.000>goes",
    "00:00:01,000 --> 00:00:09,000 more",
    "00:00:01.000 --> 00:00:09.000 line:0",
    "{\\an8}high {y:i}low \\Nnew {\\p1}m 0 0{\\p0}",
    "R&D &lt;b&gt; &amp; &nbsp;",
    "NOTE\n\nnot a note",
    "12\n\n00:00:01,000 --> 00:00:09,000\n\nnext\r\rline\u2028end\x0b\x00\x1b[31m",
    "<script>alert(1)</script>",
    "1984",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text(text: str) -> None:
    """Text is never markup, a time or another subtitle: people see what was said."""
    expected = " ".join(text.replace("\x00", "").replace("\x1b", "").split())
    for named, said in [
        (False, [say(text, timed=False)]),
        (True, [say(text, speaker="0", timed=False), say("Next.", 9.0, speaker="1")]),
    ]:
        cues = read_srt(conversation(said))
        assert len(cues) == len(said)
        seen = cues[0].text.replace("\n", " ").removeprefix("Speaker 0: ")
        assert seen == expected
        cues = read_vtt(conversation(said))
        assert len(cues) == len(said)
        assert cues[0].text.replace("\n", " ") == expected
        assert cues[0].speaker == ("Speaker 0" if named else None)
    for mark in ("<", "{", "\\"):
        assert mark not in export(conversation([say(text, timed=False)]), "srt").text


def test_hostile_name() -> None:
    """A name is never markup either."""
    name = "<b> --> &lt; {\\an8}\n\n1\n00:00:00,000 --> 00:00:09,000"
    said = conversation(
        [say("Hi.", speaker="0"), say("Hello.", 2.0, speaker="1")], speakers={"0": name}
    )
    assert [cue.speaker for cue in read_vtt(said)] == [" ".join(name.split()), "Speaker 1"]
    assert [cue.text.split(": ")[-1] for cue in read_srt(said)] == ["Hi.", "Hello."]


def test_empty() -> None:
    """A conversation in which nothing was said has no subtitles."""
    silence = Utterance(number=1, start=0.0, end=5.0, text="")
    for said in (conversation([]), conversation([silence])):
        assert export(said, "srt").text == ""
        assert export(said, "vtt").text == "WEBVTT\n"
        assert read_vtt(said) == []


def test_hours() -> None:
    """A day has more than nine hours."""
    [cue] = read_vtt(conversation([say("late", 36_000.5)]))
    assert cue == Shown(36_000_500, 36_001_500, "late")
