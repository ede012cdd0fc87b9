"""Text, JSON, and what every export has."""

from __future__ import annotations

import json
import re
import time
from dataclasses import fields

import pytest

from sttgate.errors import RequestError
from sttgate.events import Word
from sttgate.exports import FORMATS, export
from sttgate.stores import Gap, Mark, SessionEnd, SessionStart, Utterance
from tests.docs.pages import read, section, table
from tests.exports.said import conversation, say

END = SessionEnd(
    state="completed",
    ended_at=1.7e9 + 60,
    duration=60.0,
    reason="client",
    recording=True,
    provider="echo",
    metadata={"room": 4},
    marks=[Mark(at=1.0, label="here")],
    gaps=[Gap(start=2.0, end=3.0)],
    usage={"audio_s": 60.0},
)


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("txt", "text/plain"),
        ("srt", "application/x-subrip"),
        ("vtt", "text/vtt"),
        ("json", "application/json"),
    ],
)
def test_kinds(name: str, media_type: str) -> None:
    """A format is known by its name, which is its suffix too."""
    exported = export(conversation([say("Hello.")]), name)
    assert (exported.media_type, exported.suffix) == (media_type, f".{name}")
    assert "Hello." in exported.text


def test_unknown() -> None:
    """Another name is refused with those that there are."""
    with pytest.raises(RequestError, match="'docx'; use one of txt, srt, vtt, json"):
        export(conversation([]), "docx")


class TestText:
    def test_one_speaker(self) -> None:
        """One speaker has no name; a long pause begins a paragraph, a short one does not."""
        said = [say("One.", 0.0), say("Two.", 1.0), say("Three.", 9.0)]
        assert export(conversation(said), "txt").text == "One. Two.\n\nThree.\n"

    def test_several_speakers(self) -> None:
        """Of several, each turn is a paragraph that begins with the name."""
        said = [
            say("Hello.", 0.0, speaker="0"),
            say("How are you?", 0.5, speaker="0"),
            say("Fine.", 2.0, speaker="1"),
        ]
        text = export(conversation(said, speakers={"0": "Ann"}), "txt").text
        assert text == "Ann: Hello. How are you?\n\nSpeaker 1: Fine.\n"

    def test_long_speech(self) -> None:
        """Who never pauses has paragraphs too, that end with an utterance."""
        said = [say("It goes on and on and on.", at * 3.0) for at in range(100)]
        paragraphs = export(conversation(said), "txt").text.split("\n\n")
        assert 1 < len(paragraphs) < 10
        assert all(paragraph.strip().endswith(".") for paragraph in paragraphs)

    def test_empty(self) -> None:
        """Nothing said is an empty file."""
        assert export(conversation([]), "txt").text == ""


class TestJson:
    def test_everything(self) -> None:
        """All that is stored is there, the words with their times too."""
        utterance = Utterance(
            number=1,
            start=0.5,
            end=1.0,
            text="Hello.",
            speaker="0",
            language="en",
            confidence=0.9,
            provider="echo",
            words=(Word(text="Hello.", start=0.5, end=1.0, confidence=0.9, speaker="0"),),
        )
        said = conversation([utterance], speakers={"0": "Ann"}, end=END)
        found = json.loads(export(said, "json").text)
        assert (found["format"], found["version"]) == ("sttgate-conversation", 1)
        assert {field.name for kind in (SessionStart, SessionEnd) for field in fields(kind)} < set(
            found
        )
        assert (found["state"], found["provider"], found["metadata"]) == (
            "completed",
            "echo",
            {"room": 4},
        )
        assert found["marks"] == [{"at": 1.0, "label": "here"}]
        assert found["gaps"] == [{"start": 2.0, "end": 3.0, "channel": 0}]
        assert (found["text"], found["speakers"]) == ("Hello.", {"0": "Ann"})
        assert found["utterances"] == [
            {
                "number": 1,
                "start": 0.5,
                "end": 1.0,
                "text": "Hello.",
                "channel": 0,
                "speaker": "0",
                "language": "en",
                "confidence": 0.9,
                "provider": "echo",
                "words": [
                    {"text": "Hello.", "start": 0.5, "end": 1.0, "confidence": 0.9, "speaker": "0"}
                ],
                "complete": True,
            }
        ]

    def test_documented(self) -> None:
        """The table in the documentation has every key, in this order, and no other."""
        rows = table(section(read("docs/sessions.md"), "JSON"))
        documented = [key for row in rows for key in re.findall(r"`(\w+)`", row[0])]
        assert documented == list(json.loads(export(conversation([]), "json").text))

    def test_running(self) -> None:
        """A session that has not ended has the same keys."""
        running = json.loads(export(conversation([]), "json").text)
        assert set(running) == set(json.loads(export(conversation([], end=END), "json").text))
        assert (running["state"], running["ended_at"]) == ("active", None)


@pytest.mark.parametrize("format", FORMATS)
def test_an_hour(format: str) -> None:
    """An hour of speech takes a fraction of a second of work."""
    said = conversation(
        say("so this is what people say, when they are asked. And they go on.", at, speaker="0")
        for at in range(0, 3600, 6)
    )
    begun = time.process_time()
    assert len(export(said, format).text) > 30_000
    assert time.process_time() - begun < 1.0
