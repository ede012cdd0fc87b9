"""Utterances: session times, numbers, each word once, each utterance closed once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from sttgate import events
from sttgate.errors import ProviderProtocol
from sttgate.session import entries
from sttgate.session.entries import AnyEntry
from sttgate.session.utterances import SaidBefore, UtteranceBuilder
from tests.session.engines import finals, of_kind


def heard(
    text: str, start: float, end: float, *, final: bool = True, endpoint: bool = False
) -> events.Transcript:
    words = text.split()
    length = (end - start) / max(1, len(words))
    return events.Transcript(
        text=text,
        start=start,
        end=end,
        is_final=final,
        endpoint=endpoint,
        words=tuple(
            events.Word(text=word, start=start + n * length, end=start + (n + 1) * length)
            for n, word in enumerate(words)
        ),
    )


class Builder(UtteranceBuilder):
    """A builder of a stream that has heard more than it says."""

    def transcript(
        self,
        event: events.Transcript,
        heard: float = math.inf,
        *,
        finalizing: bool = False,
        interim_words: bool = True,
    ) -> list[AnyEntry]:
        return super().transcript(event, heard, finalizing=finalizing, interim_words=interim_words)


@pytest.fixture
def builder() -> Builder:
    return Builder(0, itertools.count(1))


def kinds(log: Iterable[AnyEntry]) -> list[str]:
    return [type(entry).__name__ for entry in log]


def test_times_are_put_on_the_session_clock(builder: Builder) -> None:
    """A stream that began in the middle of the session counts from there, its words too."""
    builder.begin_stream(60.0)
    (entry,) = builder.transcript(heard("a b", 1.0, 2.0))
    assert isinstance(entry, entries.Transcript)
    assert (entry.start, entry.end, entry.text, entry.is_final) == (61.0, 62.0, "a b", True)
    assert isinstance(entry.words, list)
    assert [(w.word, w.start, w.end) for w in entry.words] == [("a", 61.0, 61.5), ("b", 61.5, 62.0)]
    assert builder.settled == 62.0


def test_an_endpoint_closes_the_utterance_once(builder: Builder) -> None:
    """The finals up to an endpoint share a number; what follows has the next."""
    log = [
        *builder.transcript(heard("a", 0.0, 1.0)),
        *builder.transcript(heard("b", 1.0, 2.0, endpoint=True)),
        *builder.utterance_end(events.UtteranceEnd(at=2.0)),
        *builder.close("stop"),
        *builder.transcript(heard("c", 3.0, 4.0)),
    ]
    assert kinds(log) == ["Transcript", "Transcript", "UtteranceEnd", "Transcript"]
    assert [getattr(entry, "utterance_id", None) for entry in log] == [1, 1, 1, 2]
    end = log[2]
    assert isinstance(end, entries.UtteranceEnd)
    assert (end.start, end.end, end.reason) == (0.0, 2.0, "endpoint")
    assert log[1].speech_final  # type: ignore[union-attr]


def test_an_empty_final_settles_and_may_close(builder: Builder) -> None:
    """A final without words is not shown; its endpoint closes what is open, its end settles."""
    assert builder.transcript(heard("", 0.0, 1.0, endpoint=True)) == []
    assert builder.settled == 1.0
    log = [
        *builder.transcript(heard("a", 1.0, 2.0)),
        *builder.transcript(heard(" ", 2.0, 5.0, endpoint=True)),
    ]
    assert kinds(log) == ["Transcript", "UtteranceEnd"]
    end = log[1]
    assert isinstance(end, entries.UtteranceEnd)
    assert (end.start, end.end) == (1.0, 2.0)
    assert builder.settled == 5.0


def test_an_utterance_ends_with_its_last_word(builder: Builder) -> None:
    """Silence that was settled after the last words does not make the utterance longer."""
    builder.transcript(heard("a", 0.0, 1.0))
    builder.settle(9.0)
    (end,) = builder.close("stop")
    assert isinstance(end, entries.UtteranceEnd)
    assert (end.start, end.end, end.reason) == (0.0, 1.0, "stop")


def test_a_late_utterance_end_is_ignored(builder: Builder) -> None:
    """An end that belongs to an older utterance leaves the open one alone."""
    builder.transcript(heard("a", 0.0, 1.0, endpoint=True))
    builder.transcript(heard("b", 2.0, 3.0))
    assert builder.utterance_end(events.UtteranceEnd(at=1.0)) == []
    (end,) = builder.utterance_end(events.UtteranceEnd(at=3.0))
    assert isinstance(end, entries.UtteranceEnd)
    assert (end.utterance_id, end.reason) == (2, "timeout")
    assert builder.utterance_end(events.UtteranceEnd(at=3.0)) == []


def test_an_endpoint_that_answers_a_finalize_says_so(builder: Builder) -> None:
    """A finalize closes an utterance for another reason than a pause."""
    log = builder.transcript(heard("a", 0.0, 1.0, endpoint=True), finalizing=True)
    assert of_kind(log, entries.UtteranceEnd)[0].reason == "finalize"


def test_an_interim_has_the_number_its_final_will_have(builder: Builder) -> None:
    """Clients can match interims and finals by number; an interim opens nothing."""
    (interim,) = builder.transcript(heard("a", 0.0, 1.0, final=False))
    assert builder.close("stop") == []
    (final,) = builder.transcript(heard("a b", 0.0, 2.0))
    assert isinstance(interim, entries.Transcript)
    assert isinstance(final, entries.Transcript)
    assert (interim.utterance_id, interim.is_final) == (1, False)
    assert final.utterance_id == 1


def test_interims_have_words_where_they_are_wanted(builder: Builder) -> None:
    """Words of interims can be left out, and are not looked at then; those of finals never are."""
    (entry,) = builder.transcript(heard("a b", 0.0, 1.0, final=False), interim_words=False)
    assert isinstance(entry, entries.Transcript)
    assert entry.words is UNSET
    assert entry.text == "a b"
    (entry, *_) = builder.transcript(heard("a b", 0.0, 1.0), interim_words=False)
    assert isinstance(entry, entries.Transcript)
    assert len(entry.words or ()) == 2
    broken = replace(heard("c", 1.0, 2.0, final=False), words=(None,))  # type: ignore[arg-type]
    assert builder.transcript(broken, interim_words=False)
    with pytest.raises(ProviderProtocol):
        builder.transcript(broken, interim_words=True)


def test_what_was_settled_is_not_said_again(builder: Builder) -> None:
    """Neither as final, nor as interim, nor as begin of speech."""
    builder.transcript(heard("a", 0.0, 2.0))
    builder.begin_stream(1.0)
    assert builder.transcript(heard("a", 0.0, 1.0)) == []
    assert builder.transcript(heard("a", 0.0, 1.0, final=False)) == []
    assert builder.speech_started(events.SpeechStarted(at=0.5)) == []
    assert kinds(builder.speech_started(events.SpeechStarted(at=1.0))) == ["SpeechStarted"]
    (entry,) = builder.transcript(heard("b", 0.9999, 2.0))
    assert isinstance(entry, entries.Transcript)
    assert (entry.start, entry.end) == (2.0, 3.0)


def test_blank_text_never_comes_out(builder: Builder) -> None:
    """Text is stripped, and what is blank then is no entry."""
    assert builder.transcript(heard("  ", 0.0, 1.0, final=False)) == []
    (entry,) = builder.transcript(heard(" a ", 0.0, 1.0))
    assert isinstance(entry, entries.Transcript)
    assert entry.text == "a"


def test_a_final_ends_with_the_audio(builder: Builder) -> None:
    """What an engine says to lie after the audio it has heard is moved to its end, and not lost."""
    (first,) = builder.transcript(heard("a", 0.0, 1.3), 1.0)
    (second,) = builder.transcript(heard("b", 1.3, 1.5), 1.0)
    (third,) = builder.transcript(heard("c", 1.0, 2.0), 2.0)
    times = [(e.start, e.end) for e in finals([first, second, third])]
    assert times == [(0.0, 1.0), (1.0, 1.0), (1.0, 2.0)]
    assert builder.settled == 2.0


def test_channels_share_the_numbers() -> None:
    """No two utterances of a session have the same number, whatever channel they are on."""
    numbers = itertools.count(1)
    left, right = Builder(0, numbers), Builder(1, numbers)
    log = [
        *left.transcript(heard("a", 0.0, 1.0)),
        *right.transcript(heard("b", 0.0, 1.0)),
        *left.transcript(heard("c", 1.0, 2.0, endpoint=True)),
        *right.transcript(heard("d", 1.0, 2.0, endpoint=True)),
        *right.transcript(heard("e", 2.0, 3.0)),
    ]
    seen = [(e.channel, e.utterance_id) for e in finals(log)]
    assert seen == [(0, 1), (1, 2), (0, 1), (1, 2), (1, 3)]


def test_a_session_taken_up_again_goes_on_in_its_utterance() -> None:
    """After a crash the open utterance is continued, and nothing that was said is said again."""
    builder = Builder(0, itertools.count(8))
    builder.restore(SaidBefore(settled=5.0, open=7, start=4.0))
    builder.begin_stream(5.0)
    assert builder.transcript(heard("old", 0.0, 0.0)) == []
    log = [
        *builder.transcript(heard("b", 0.0, 1.0, endpoint=True)),
        *builder.transcript(heard("c", 1.0, 2.0)),
    ]
    assert [getattr(entry, "utterance_id", None) for entry in log] == [7, 7, 8]
    end = log[1]
    assert isinstance(end, entries.UtteranceEnd)
    assert (end.start, end.end) == (4.0, 6.0)


# --- any way to split the words over streams ----------------------------------------------------

_spans = st.lists(
    st.tuples(
        st.integers(0, 4),  # words in this final; none: silence
        st.sampled_from(["no", "flag", "event", "both", "late"]),  # how its endpoint is told
        st.integers(0, 3),  # interims before it
        st.booleans(),  # the stream breaks off after it
        st.booleans(),  # the stream breaks off before it, after its interims
        st.booleans(),  # it comes twice
        st.booleans(),  # somebody begins to speak
    ),
    max_size=25,
)


@given(spans=_spans, wobble=st.floats(-0.0004, 0.0004))
def test_every_word_once_and_every_endpoint_once(
    spans: list[tuple[int, str, int, bool, bool, bool, bool]], wobble: float
) -> None:
    """However finals are spread over streams that break off, the session says the same."""
    builder = Builder(0, itertools.count(1))
    log: list[AnyEntry] = []
    offset = clock = 0.0
    names = itertools.count(1)
    spoken: list[str] = []
    endpoints, is_open, last_end = 0, False, 0.0

    def rewind() -> None:
        nonlocal offset
        offset = builder.settled
        builder.begin_stream(offset)

    rewind()
    for words, endpoint, interims, after, before, twice, begins in spans:
        text = " ".join(f"w{next(names)}" for _ in range(words))
        length = max(1, words) * 0.25

        def local(moment: float) -> float:
            return max(0.0, moment - offset + wobble)

        if begins:
            log += builder.speech_started(events.SpeechStarted(at=local(clock)))
        for n in range(interims):
            part = " ".join(text.split()[: n + 1])
            log += builder.transcript(
                heard(part, local(clock), local(clock + length * (n + 1) / 4), final=False)
            )
        if before:
            rewind()
        late, at = is_open and endpoint == "late", last_end
        final = heard(
            text,
            local(clock),
            local(clock + length),
            endpoint=endpoint in {"flag", "both"},
        )
        log += builder.transcript(final)
        if twice and words:
            # A repeated final carries no news, so neither does its endpoint.
            assert builder.transcript(final) == []
        if late:
            # Its utterance is still open, so it is not late at all when no other has begun.
            log += builder.utterance_end(events.UtteranceEnd(at=local(at)))
        clock += length
        spoken += text.split()
        is_open = is_open or words > 0
        if words:
            last_end = clock
        if endpoint in {"event", "both"}:
            log += builder.utterance_end(events.UtteranceEnd(at=local(clock)))
        if is_open and (endpoint in {"flag", "event", "both"} or late):
            endpoints, is_open = endpoints + 1, False
        if after:
            rewind()
    log += builder.close("stop")
    endpoints += is_open
    check(log, spoken, endpoints, clock)


def check(log: list[AnyEntry], spoken: list[str], endpoints: int, clock: float) -> None:
    said = finals(log)
    assert " ".join(final.text for final in said).split() == spoken
    for one, two in itertools.pairwise(said):
        assert one.start <= one.end <= two.start + 0.0011
    assert all(final.start >= 0 and final.end <= clock + 0.001 for final in said)
    ends = of_kind(log, entries.UtteranceEnd)
    assert len(ends) == endpoints
    assert [end.utterance_id for end in ends] == list(range(1, len(ends) + 1))
    for end in ends:
        members = [final for final in said if final.utterance_id == end.utterance_id]
        assert (end.start, end.end) == (members[0].start, members[-1].end)
        assert log.index(members[-1]) < log.index(end)
        assert all(
            log.index(later) > log.index(end) for later in said[said.index(members[-1]) + 1 :]
        )


@pytest.mark.parametrize("start", [float("nan"), float("inf")])
def test_times_that_are_no_numbers_are_refused(start: float) -> None:
    """A provider whose times are not numbers breaks its protocol, and the log stays readable."""
    builder = UtteranceBuilder(0, itertools.count(1))
    with pytest.raises(ProviderProtocol):
        builder.transcript(events.Transcript(text="x", start=start, end=1.0, is_final=True), 1.0)


def test_half_characters_are_replaced() -> None:
    """Half an emoji becomes a replacement character instead of a message that cannot be sent."""
    builder = UtteranceBuilder(0, itertools.count(1))
    [entry] = builder.transcript(
        events.Transcript(text="a\ud83d", start=0.0, end=1.0, is_final=True), 1.0
    )
    assert isinstance(entry, entries.Transcript)
    assert entry.text == "a\ufffd"
