"""Recognition: whatever providers do, every word is heard once, at its time."""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
from collections.abc import AsyncGenerator, Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate.audio import AudioFormat
from sttgate.errors import ProviderRejected, ProviderUnavailable
from sttgate.events import Finalized, ProviderEvent, SpeechStarted, Transcript
from sttgate.provider import AudioInput, Capabilities, Control, Provider, StreamParams
from sttgate.session import finalizing, recognition
from sttgate.session import session as session_module
from sttgate.session.entries import (
    AnyEntry,
    Error,
    Gap,
    Started,
    Stopped,
    UtteranceEnd,
    Warning,
)
from sttgate.session.entries import Finalized as FinalizedEntry
from sttgate.session.entries import Provider as ProviderEntry
from sttgate.session.entries import SpeechStarted as SpeechStartedEntry
from sttgate.session.entries import Transcript as TranscriptEntry
from sttgate.session.params import SessionParams
from sttgate.session.session import Session
from tests.session.engines import (
    WORD_SECONDS,
    Fault,
    Speaker,
    eventually,
    finals,
    follow_until,
    of_kind,
    open_house,
    say,
    speech,
    spell,
    text,
    until_gone,
)

# Sentences of ten with a pause after each, and a few words more.
NUMBERS = [n for first in (1, 11, 21) for n in (*range(first, first + 10), 0, 0, 0)] + [31, 32, 33]


async def hear(
    folder: Path, providers: Sequence[Provider], numbers: Sequence[int] = NUMBERS
) -> tuple[list[AnyEntry], Session]:
    """Run a whole session; return what it said."""
    async with open_house(folder, *providers) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(numbers))
        session.stop()
        log = await follow_until(session, Stopped)
        await until_gone(house, session)
        assert house.recordings.files[session.id][44:] == speech(numbers)
        return log, session


def assert_all_heard(log: list[AnyEntry], numbers: Iterable[int] = NUMBERS) -> None:
    """Assert that a log has every word once, in order and at its time, and nothing unsettled."""
    numbers = list(numbers)
    assert text(log) == spell(numbers)
    assert [entry.seq for entry in log] == sorted(entry.seq for entry in log)
    said = finals(log)
    for one, two in itertools.pairwise(said):
        assert one.end <= two.start
    times = {f"w{number}": at * WORD_SECONDS for at, number in enumerate(numbers) if number}
    for final in said:
        assert isinstance(final.words, list)
        assert final.words
        for word in final.words:
            assert word.start == pytest.approx(times[word.word], abs=0.002)
            assert word.end == pytest.approx(times[word.word] + WORD_SECONDS, abs=0.002)
            assert final.start - 0.001 <= word.start <= word.end <= final.end + 0.001
    assert not of_kind(log, Gap)
    ends = of_kind(log, UtteranceEnd)
    assert [end.utterance_id for end in ends] == list(range(1, len(ends) + 1))
    assert {final.utterance_id for final in said} == {end.utterance_id for end in ends}
    stopped = log[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.full_transcription == spell(numbers)
    assert stopped.words == sum(map(bool, numbers))
    assert stopped.utterances == len(ends)
    assert stopped.duration_s == pytest.approx(len(numbers) * WORD_SECONDS)


async def test_an_undisturbed_session_hears_everything(tmp_path: Path) -> None:
    """One stream, every word, an utterance for each endpoint and one for what is left."""
    provider = Speaker()
    log, session = await hear(tmp_path, [provider])
    assert_all_heard(log)
    assert provider.streams == 1
    assert len(of_kind(log, UtteranceEnd)) == 4
    assert session.state == "completed"
    assert not of_kind(log, ProviderEntry)
    started = log[0]
    assert isinstance(started, Started)
    assert started.provider == "p1"


KINDS = ["error", "auth", "foreign", "cancelled", "end", "stall"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", [0, 1, 7, 12, 35])
async def test_a_stream_that_breaks_costs_no_word(tmp_path: Path, kind: str, words: int) -> None:
    """Whenever and however a stream breaks, the next one goes on where the last final ended."""
    first = Speaker(faults=[Fault(kind, words)])  # type: ignore[arg-type]
    second = Speaker()
    log, session = await hear(tmp_path, [first, second])
    assert_all_heard(log)
    assert session.state == "completed"
    assert not of_kind(log, Error)
    # Neither who refuses for good nor who does not say a word is asked again.
    gives_way = kind == "auth" or (kind == "stall" and words == 0)
    assert (first.streams, second.streams) == ((1, 1) if gives_way else (2, 0))
    switch, ready = of_kind(log, ProviderEntry)
    if gives_way:
        assert (switch.state, switch.provider) == ("failed_over", "p2")
    else:
        assert (switch.state, switch.provider) == ("reconnecting", "p1")
    assert (ready.state, ready.provider) == ("ready", switch.provider)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "end"])
async def test_a_stream_that_breaks_at_the_very_end_costs_no_word(
    tmp_path: Path, kind: str
) -> None:
    """A stream that fails while the last words are due is replaced like any other."""
    first = Speaker(faults=[Fault(kind, draining=True)])  # type: ignore[arg-type]
    log, session = await hear(tmp_path, [first, Speaker()])
    assert_all_heard(log)
    assert session.state == "completed"


@pytest.mark.usefixtures("impatient")
async def test_a_provider_that_refuses_gives_way_to_the_next(tmp_path: Path) -> None:
    """After three refusals in a row the next provider of the chain has its turn."""
    first, second = Speaker(always=Fault("refuse")), Speaker()
    log, _ = await hear(tmp_path, [first, second])
    assert_all_heard(log)
    assert (first.streams, second.streams) == (3, 1)
    assert [(e.state, e.provider) for e in of_kind(log, ProviderEntry)] == [
        ("reconnecting", "p1"),
        ("reconnecting", "p1"),
        ("failed_over", "p2"),
        ("ready", "p2"),
    ]


@pytest.mark.usefixtures("impatient")
async def test_a_provider_that_gets_on_is_given_more_tries(tmp_path: Path) -> None:
    """Each stream that settles something resets the count of tries."""
    provider = Speaker(faults=[Fault("error", 9)] * 5)
    log, _ = await hear(tmp_path, [provider])
    assert_all_heard(log)
    assert provider.streams == 6


@pytest.mark.usefixtures("impatient")
async def test_who_does_not_open_is_passed_over(tmp_path: Path) -> None:
    """A session starts on the next provider when the first does not open, and says so."""
    first, second = Speaker(open_error=ProviderRejected("no such model")), Speaker()
    log, _ = await hear(tmp_path, [first, second])
    assert_all_heard(log)
    started = of_kind(log, Started)
    assert [entry.provider for entry in started] == ["p2"]
    assert first.streams == 0


@pytest.mark.usefixtures("impatient")
async def test_who_opens_late_is_not_called_another(tmp_path: Path) -> None:
    """While the only provider does not open the session reconnects, then it starts."""
    provider = Speaker(open_error=ProviderUnavailable("not yet"))
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await follow_until(session, ProviderEntry)
        provider.open_error = None
        await say(session, speech(NUMBERS))
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard(log)
    assert {entry.state for entry in of_kind(log, ProviderEntry)} <= {"reconnecting", "ready"}
    assert len(of_kind(log, Started)) == 1


_faults = st.lists(
    st.one_of(
        st.none(),
        st.builds(
            Fault, st.sampled_from(["error", "foreign", "cancelled", "end"]), st.integers(0, 12)
        ),
        st.builds(Fault, st.sampled_from(["error", "foreign"]), draining=st.just(True)),
        st.just(Fault("refuse")),
        st.just(Fault("auth", 3)),
    ),
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(chain=st.lists(_faults, max_size=3), seed=st.integers(0, 999), endpoints=st.booleans())
def test_any_sequence_of_faults_costs_no_word(
    chain: list[list[Fault | None]], seed: int, endpoints: bool
) -> None:
    """Whatever a chain of providers goes through, as long as the last one works, the text is the same."""
    chance = random.Random(seed)
    numbers = [chance.choice([0, n]) for n in range(1, chance.randrange(10, 60))]
    providers = [Speaker(faults=faults, endpoints=endpoints) for faults in chain]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(recognition, "_FIRST_RETRY", 0.0)
        patch.setattr(recognition, "_MAX_RETRY", 0.0)
        log, session = asyncio.run(hear(Path(folder), [*providers, Speaker()], numbers))
    assert_all_heard(log, numbers)
    assert session.state == "completed"


# --- stalls -----------------------------------------------------------------------------------------


class Mute(Provider):
    """Reads everything and says nothing."""

    streams = 0

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield nothing."""
        self.streams += 1
        async for _ in audio:
            pass
        await asyncio.get_running_loop().create_future()
        yield Finalized()


@pytest.mark.usefixtures("impatient")
async def test_a_provider_that_says_nothing_is_replaced(tmp_path: Path) -> None:
    """A provider that reads on without a word is noticed while the audio still comes."""
    mute, second = Mute(), Speaker()
    async with open_house(tmp_path, mute, second) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(NUMBERS))
        await follow_until(session, Started)
        await eventually(lambda: second.streams == 1)
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard(log)


class Vague(Speaker):
    """Its first stream never makes up its mind: interims without end."""

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield an interim for each chunk."""
        if self.streams:
            async for event in super().transcribe(audio, params):
                yield event
            return
        self.streams += 1
        async for _ in audio:
            yield Transcript(text="er", start=0.0, end=0.1, is_final=False)


@pytest.mark.usefixtures("impatient")
async def test_a_provider_that_never_settles_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interims alone do not keep a stream alive for ever, since what is not settled must be kept."""
    monkeypatch.setattr(recognition, "SETTLE_TIMEOUT", 0.5)
    provider = Vague()
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        for number in NUMBERS:
            session.append(speech([number]))
            await asyncio.sleep(0.05)
        assert provider.streams == 2
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard([entry for entry in log if getattr(entry, "text", "") != "er"])


@pytest.mark.usefixtures("impatient")
async def test_a_pause_of_the_caller_is_no_stall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that has heard all there is owes nothing, however long no audio comes."""
    monkeypatch.setattr(recognition, "SETTLE_TIMEOUT", 0.5)
    provider = Speaker()
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech([1, 2, 3]))
        await eventually(lambda: provider.heard == 3 * 3200)
        await asyncio.sleep(1.5)
        assert provider.streams == 1
        await say(session, speech([4, 5]))
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard(log, [1, 2, 3, 4, 5])
    assert not of_kind(log, ProviderEntry)


class Thoughtful(Speaker):
    """Says only finals, each a little late."""

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield the words."""
        async for event in super().transcribe(audio, params):
            await asyncio.sleep(0.25)
            yield event


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("more", [[], [4, 6, 7, 8, 9, 11]])
async def test_after_a_pause_a_provider_has_time_to_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[int]
) -> None:
    """However long the caller had paused, what a provider owes counts from when it was asked."""
    monkeypatch.setattr(recognition, "SETTLE_TIMEOUT", 1.0)
    provider = Thoughtful(interims=False)
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech([1, 2, 3]))
        await eventually(lambda: provider.heard == 3 * 3200)
        await asyncio.sleep(1.5)
        await say(session, speech(more))
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard(log, [1, 2, 3, *more])
    assert not of_kind(log, ProviderEntry)


@pytest.mark.usefixtures("impatient")
async def test_waiting_for_the_first_audio_is_no_stall(tmp_path: Path) -> None:
    """A session that has just begun may stay silent."""
    provider = Speaker()
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await follow_until(session, Started)
        await asyncio.sleep(1.0)
        assert provider.streams == 1
        session.stop()
        log = await follow_until(session, Stopped)
    assert not of_kind(log, ProviderEntry)


class Undead(Speaker):
    """Its first stream ignores that it is cancelled, and goes on speaking."""

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield the words, and after the cancellation more."""
        if self.streams:
            async for event in super().transcribe(audio, params):
                yield event
            return
        self.streams += 1
        await audio.receive()
        for _ in range(20):
            try:
                await asyncio.sleep(1.5)
            except asyncio.CancelledError:
                break
        for number in range(20):
            await asyncio.sleep(0.05)
            yield Transcript(
                text=f"ghost{number}", start=0.0, end=0.1 * (number + 1), is_final=True
            )


@pytest.mark.usefixtures("impatient")
async def test_a_stream_that_ignores_its_end_is_not_heard_any_more(tmp_path: Path) -> None:
    """What a replaced stream still says is dropped, and disturbs neither words nor times."""
    provider = Undead()
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(NUMBERS[:20]))
        await eventually(lambda: provider.streams == 2)
        await asyncio.sleep(0.5)
        await say(session, speech(NUMBERS[20:]))
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard(log)


# --- the end of the chain ---------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("words", "state"), [(0, "failed"), (7, "incomplete")], ids=["nothing said", "something said"]
)
async def test_an_exhausted_chain_is_told_once(tmp_path: Path, words: int, state: str) -> None:
    """One error, the recording goes on, what nobody heard is a gap, and the outcome says so."""
    first = Speaker(faults=[Fault("error", words)], always=Fault("refuse"))
    second = Speaker(always=Fault("refuse"))
    async with open_house(tmp_path, first, second) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(NUMBERS[:20]))
        await follow_until(session, Error)
        assert session.failed
        await say(session, speech(NUMBERS[20:]))
        session.stop()
        log = await follow_until(session, Stopped)
        await until_gone(house, session)
        assert house.recordings.files[session.id][44:] == speech(NUMBERS)
        end = house.transcripts.ends[session.id]
        assert end.state == state
        assert end.recording
        assert end.duration == pytest.approx(len(NUMBERS) * WORD_SECONDS)
        (stored_gap,) = end.gaps
    (error,) = of_kind(log, Error)
    assert error.message == session_module.CLIENT_MESSAGE
    assert session.state == state
    settled = 5 if words else 0  # words, as the fifth ends a final
    assert text(log) == spell(NUMBERS[:settled])
    (gap,) = of_kind(log, Gap)
    assert (gap.start, gap.end) == (settled * WORD_SECONDS, len(NUMBERS) * WORD_SECONDS)
    assert (stored_gap.start, stored_gap.end) == (gap.start, gap.end)


@pytest.mark.usefixtures("impatient")
async def test_a_long_outage_is_outlived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all providers have failed they are tried again now and then, and nothing is lost."""
    monkeypatch.setattr(recognition, "REVIVE_INTERVAL", 0.1)
    monkeypatch.setattr(recognition, "_PATIENCE", 0.0)
    provider = Speaker(always=Fault("refuse"))
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(NUMBERS[:20]))
        await eventually(lambda: provider.streams >= 8)
        provider.always = None
        await say(session, speech(NUMBERS[20:]))
        await eventually(lambda: session.state == "listening")
        assert not session.failed
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard(log)
    assert session.state == "completed"
    assert len(of_kind(log, Error)) == 1


@pytest.mark.usefixtures("impatient")
async def test_stopping_during_an_outage_does_not_wait_for_its_end(tmp_path: Path) -> None:
    """Who stops while nobody is left gets ``stopped`` at once."""
    async with open_house(tmp_path, Speaker(always=Fault("auth", 2))) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(NUMBERS))
        await follow_until(session, Error)
        session.stop()
        await follow_until(session, Stopped, timeout=5.0)


# --- finalize ---------------------------------------------------------------------------------------


async def test_finalize_settles_all_audio_so_far(tmp_path: Path) -> None:
    """After finalize the words so far are final, the utterance is closed, and the answer has the id."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech([1, 2, 3]))
        session.finalize("mine")
        log = await follow_until(session, FinalizedEntry)
        answer = log[-1]
        assert isinstance(answer, FinalizedEntry)
        assert answer.id == "mine"
        assert answer.t == pytest.approx(0.3)
        assert text(log) == "w1 w2 w3"
        assert session.backlog_s == 0.0
        await say(session, speech([4, 5]))
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard(log, [1, 2, 3, 4, 5])
    assert [end.reason for end in of_kind(log, UtteranceEnd)] == ["finalize", "stop"]
    assert not session.audio.finalizes


async def test_finalize_without_audio_is_answered(tmp_path: Path) -> None:
    """There is nothing to settle, and the answer comes all the same."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        session.finalize(1)
        log = await follow_until(session, FinalizedEntry, timeout=3.0)
        assert not of_kind(log, Warning)
        session.stop()
        await follow_until(session, Stopped)


@pytest.mark.usefixtures("impatient")
async def test_finalize_survives_the_stream_it_was_sent_to(tmp_path: Path) -> None:
    """A finalize that a broken stream has not answered is put to the next one."""
    provider = Speaker(faults=[Fault("error", 3)], deaf=True)
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech([1, 2, 3]))
        session.finalize(7)
        await eventually(lambda: provider.heard == 3 * 3200)
        provider.deaf = False
        await say(session, speech([4]))
        log = await follow_until(session, FinalizedEntry, timeout=3.0)
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard(log, [1, 2, 3, 4])
    assert len(of_kind(log, FinalizedEntry)) == 1
    assert provider.streams == 2


async def test_finalize_that_a_provider_ignores_is_answered_by_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while ``finalized`` comes with a warning; the stream goes on, and no word is lost."""
    monkeypatch.setattr(finalizing, "FINALIZE_TIMEOUT", 0.1)
    provider = Speaker(deaf=True)
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech([1, 2, 3]))
        session.finalize(1)
        await say(session, speech([4]))
        session.finalize(2)
        log = await follow_until(session, FinalizedEntry)
        assert [warning.code for warning in of_kind(log, Warning)] == ["finalize_timeout"]
        await say(session, speech([5, 6]))
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard(log, [1, 2, 3, 4, 5, 6])
    assert [entry.id for entry in of_kind(log, FinalizedEntry)] == [1, 2]
    assert provider.streams == 1


@pytest.mark.parametrize("kind", ["answers", "ignores", "settles less"])
async def test_finalize_right_before_stop_is_answered_before_stopped(
    tmp_path: Path, kind: str
) -> None:
    """The end settles everything, so it answers what was asked, also for a provider that does not."""
    provider = {
        "answers": Speaker(),
        "ignores": Speaker(deaf=True),
        "settles less": Recited(final("w1", 0.0, 0.1)),
    }[kind]
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech([1, 0, 0, 0, 0]))
        session.finalize(1)
        session.stop()
        log = await follow_until(session, Stopped)
    assert text(log) == "w1"
    assert len(of_kind(log, FinalizedEntry)) == 1
    assert not of_kind(log, Warning)


class Tardy(Provider):
    """Confirms the first of two finalizes only after it was given the second."""

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield two finals, each after its finalize."""
        asked = 0
        async for item in audio:
            if item is Control.FINALIZE:
                asked += 1
                if asked == 1:
                    yield final("first", 0.0, 0.2)
                else:
                    yield Finalized()
                    yield final("second", 0.2, 0.4)
                    yield Finalized()


def final(said: str, start: float, end: float) -> Transcript:
    return Transcript(text=said, start=start, end=end, is_final=True)


async def test_a_late_answer_settles_only_what_it_answers(tmp_path: Path) -> None:
    """The answer to one finalize is not taken for that to the next, which would drop its words."""
    async with open_house(tmp_path, Tardy()) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech([1, 2]))
        session.finalize(1)
        await follow_until(session, FinalizedEntry)
        await say(session, speech([3, 4]))
        session.finalize(2)
        await say(session, speech([0]))
        session.stop()
        log = await follow_until(session, Stopped)
    assert text(log) == "first second"
    assert [entry.id for entry in of_kind(log, FinalizedEntry)] == [1, 2]


# --- what providers say -----------------------------------------------------------------------------


class Recited(Provider):
    """Says what it is told once all audio is there, whatever the audio."""

    def __init__(self, *said: ProviderEvent, capabilities: Capabilities | None = None) -> None:
        self.said = said
        if capabilities is not None:
            self.capabilities = capabilities
        self.rates: list[int] = []
        self.seconds = 0.0

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield the text."""
        self.rates.append(params.sample_rate)
        size = 0
        async for item in audio:
            size += len(item) if isinstance(item, bytes) else 0
        self.seconds = size / 2 / params.sample_rate
        for event in self.said:
            yield event


async def test_nothing_is_settled_that_was_not_heard(tmp_path: Path) -> None:
    """A final that claims to end after its audio, as padded engines do, ends with the audio."""
    provider = Recited(final("a", 0.0, 0.1), final("b", 0.1, 0.25))
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech([1, 2]))
        session.stop()
        log = await follow_until(session, Stopped)
    assert [(f.start, f.end) for f in finals(log)] == [(0.0, 0.1), (0.1, 0.2)]
    assert not of_kind(log, Gap)


async def test_interims_may_be_left_out(tmp_path: Path) -> None:
    """A session that asks for no interims gets none, from whatever provider."""
    params = SessionParams(protocol="test", stream=StreamParams(interim_results=False))
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(params)
        await say(session, speech(NUMBERS))
        session.stop()
        log = await follow_until(session, Stopped)
    assert_all_heard(log)
    assert all(entry.is_final for entry in of_kind(log, TranscriptEntry))


async def test_begins_of_speech_are_handed_on(tmp_path: Path) -> None:
    """``SpeechStarted`` comes with the session's time."""
    async with open_house(tmp_path, Recited(SpeechStarted(at=0.1))) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech([1, 2]))
        session.stop()
        log = await follow_until(session, Stopped)
    assert [entry.t for entry in of_kind(log, SpeechStartedEntry)] == [0.1]


@pytest.mark.parametrize(
    ("rates", "session_rate", "expected"),
    [
        (None, 11_025, 11_025),
        ((16_000,), 8000, 16_000),
        ((8000, 16_000), 8000, 8000),
        ((8000, 24_000, 16_000), 12_000, 16_000),
        ((8000, 16_000), 48_000, 16_000),
    ],
)
async def test_a_provider_gets_a_rate_it_takes(
    tmp_path: Path, rates: tuple[int, ...] | None, session_rate: int, expected: int
) -> None:
    """The session's rate where the provider takes it, else the next higher, and the same duration."""
    provider = Recited(final("a", 0.0, 2.0), capabilities=Capabilities(sample_rates=rates))
    params = SessionParams(protocol="test", format=AudioFormat(session_rate))
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(params)
        await say(session, bytes(2 * session_rate * 2))
        session.stop()
        log = await follow_until(session, Stopped)
    assert provider.rates == [expected]
    assert provider.seconds == pytest.approx(2.0, abs=0.001)
    assert [f.end for f in finals(log)] == [2.0]
    assert not of_kind(log, Gap)


async def test_each_channel_is_heard_by_itself(tmp_path: Path) -> None:
    """With multichannel each channel has its own stream, words and utterances; numbers are shared."""
    left, right = speech(range(1, 26)), speech([0, 0, *range(101, 124)])
    frames = b"".join(left[at : at + 2] + right[at : at + 2] for at in range(0, len(left), 2))
    provider = Speaker()
    params = SessionParams(protocol="test", format=AudioFormat(16_000, 2), multichannel=True)
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(params)
        await say(session, frames, 6400)
        session.finalize(1)
        session.stop()
        log = await follow_until(session, Stopped)
    assert provider.streams == 2
    for channel, numbers in ((0, range(1, 26)), (1, range(101, 124))):
        said = [f for f in finals(log) if f.channel == channel]
        assert text(said) == spell(numbers)
    closed = [end.utterance_id for end in of_kind(log, UtteranceEnd)]
    assert sorted(closed) == list(range(1, len(closed) + 1))
    assert len(of_kind(log, FinalizedEntry)) == 1
    assert len(of_kind(log, Started)) == 1


@pytest.mark.usefixtures("impatient")
async def test_channels_fail_by_themselves(tmp_path: Path) -> None:
    """A stream that breaks on one channel is replaced without disturbing the other."""
    pcm = speech(NUMBERS)
    frames = b"".join(pcm[at : at + 2] * 2 for at in range(0, len(pcm), 2))
    provider = Speaker(faults=[Fault("error", 7), None])
    params = SessionParams(protocol="test", format=AudioFormat(16_000, 2), multichannel=True)
    async with open_house(tmp_path, provider) as house:
        session = await house.gateway.open_session(params)
        await say(session, frames, 6400)
        session.stop()
        log = await follow_until(session, Stopped)
    assert provider.streams == 3
    for channel in (0, 1):
        assert text(f for f in finals(log) if f.channel == channel) == spell(NUMBERS)
    assert session.state == "completed"
