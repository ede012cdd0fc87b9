"""What native clients are sent, rendered: byte for byte."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sttgate.protocols.native.replies import render_base, render_message
from sttgate.session import entries
from sttgate.session.entries import AnyEntry
from sttgate.session.rendering import render

text = st.text(st.characters(exclude_categories=["Cs"]))
seconds = st.floats(0, 1e6).map(lambda value: round(value, 3))
words = st.builds(entries.Word, word=text, start=seconds, end=seconds, speaker=st.none() | text)
transcripts = st.builds(
    entries.Transcript,
    text=text,
    is_final=st.booleans(),
    seq=st.integers(1, 10**6),
    utterance_id=st.integers(1, 10**6),
    start=seconds,
    end=seconds,
    channel=st.integers(0, 7),
    speaker=st.none() | text,
    language=st.none() | text,
    confidence=st.none() | st.floats(0, 1),
    words=st.lists(words, max_size=3),
)


def compact(**fields: object) -> str:
    """Return what the original server would send."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


class TestBase:
    @given(transcripts)
    def test_transcript(self, entry: entries.Transcript) -> None:
        """A transcript has three keys, whatever else is known of it."""
        expected = compact(event="transcript", text=entry.text, is_final=entry.is_final)
        assert render_base(entry) == expected

    @given(text, st.booleans())
    def test_error(self, message: str, fatal: bool) -> None:
        """An error has its message for people, and no code."""
        entry = entries.Error(message=message, code="internal", fatal=fatal, provider="p")
        assert render_base(entry) == compact(event="error", message=message)

    @given(text, text)
    def test_stopped(self, session_id: str, full_text: str) -> None:
        """The end has four keys, in this order."""
        entry = entries.Stopped(session_id=session_id, full_transcription=full_text, duration_s=3)
        assert render_base(entry) == compact(
            event="stopped",
            message="STT session ended.",
            session_id=session_id,
            full_transcription=full_text,
        )

    def test_utterance_end(self) -> None:
        """The end of an utterance is always the same."""
        entry = entries.UtteranceEnd(utterance_id=3, start=0, end=1, channel=2, reason="timeout")
        assert render_base(entry) == '{"event":"utterance_end","text":""}'

    def test_every_code_point(self) -> None:
        """Every character JSON can carry is written as Python's json does, one by one."""
        for code in [*range(0xD800), *range(0xE000, 0x10000), 0x1F600, 0x10FFFF]:
            entry = entries.Error(message=chr(code), code="internal")
            assert render_base(entry) == compact(event="error", message=chr(code))

    def test_nothing_else_is_sent(self) -> None:
        """Entries of protocol 2 are nothing to a base client."""
        base = {"transcript", "utterance_end", "error", "stopped"}
        for kind in get_args(AnyEntry):
            if kind.__struct_config__.tag not in base:
                assert render_base(example(kind)) is None


class TestProtocol2:
    @given(transcripts, st.booleans())
    def test_transcript(self, entry: entries.Transcript, with_words: bool) -> None:
        """Everything is there under its name, base keys first; words only where asked for."""
        rendered = render(entry, words=with_words)
        message = json.loads(rendered)
        assert list(message)[:3] == ["event", "text", "is_final"]
        assert ("words" in message) is with_words
        for name in entry.__struct_fields__:
            if name != "words":
                assert message[name] == getattr(entry, name)
        if with_words:
            assert [word["word"] for word in message["words"]] == [w.word for w in entry.words]
        assert entry.words is not msgspec.UNSET  # the log's own entry stays whole

    @pytest.mark.parametrize("kind", get_args(AnyEntry), ids=lambda kind: kind.__name__)
    def test_every_entry(self, kind: type[AnyEntry]) -> None:
        """Each entry is compact JSON with its event first, and its number."""
        rendered = render(example(kind), words=False)
        message = json.loads(rendered)
        assert next(iter(message)) == "event"
        assert message["event"] == kind.__struct_config__.tag
        assert message["seq"] == 7
        assert rendered == compact(**message)

    def test_what_is_not_set_is_left_out(self) -> None:
        """Optional fields that do not apply are absent, not null."""
        message = json.loads(render(entries.Error(message="m", code="internal"), words=False))
        assert list(message) == ["event", "message", "seq", "code", "retryable", "fatal"]


@given(text, st.dictionaries(text.filter(lambda key: key != "event"), st.integers() | text))
def test_message(event: str, fields: dict[str, Any]) -> None:
    """A message of the connection is compact JSON, its event first."""
    message = {"event": event} | fields
    assert render_message(**message) == compact(**message)


def example(kind: type[AnyEntry]) -> AnyEntry:
    """Return an entry of ``kind`` with something in every field it needs."""
    some: dict[type, object] = {str: "x", int: 1, float: 1.5, bool: True}
    fields: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        if field.required:
            choices = [arg for arg in get_args(field.type) if isinstance(arg, str)]
            fields[field.name] = choices[0] if choices else some.get(field.type, {})
    entry = kind(**fields)
    entry.seq = 7
    return entry
