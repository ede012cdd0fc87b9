"""Storing: an outage of a store delays what it is owed, and neither stops nor loses anything."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from sttgate.errors import StoreError
from sttgate.events import ProviderEvent, UtteranceEnd
from sttgate.session import session as session_module
from sttgate.session import storing
from sttgate.session.entries import AnyEntry, Stopped, Warning
from sttgate.session.params import SessionParams
from sttgate.session.session import Session
from sttgate.stores import Utterance
from tests.session.engines import (
    Fault,
    House,
    MemoryRecordings,
    MemoryTranscripts,
    Speaker,
    eventually,
    follow_until,
    of_kind,
    open_house,
    say,
    speech,
    spell,
    text,
    until_gone,
)
from tests.session.test_recognition import Recited, final

NUMBERS = list(range(1, 26))
OUTAGES = [StoreError("out"), OSError(5, "I/O error"), ZeroDivisionError("a mistake of the plugin")]


@pytest.fixture(autouse=True)
def _prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for stores that are out."""
    monkeypatch.setattr(session_module, "STORE_TIMEOUT", 0.5)
    monkeypatch.setattr(storing, "_FIRST_RETRY", 0.02)
    monkeypatch.setattr(storing, "_MAX_RETRY", 0.1)
    monkeypatch.setattr(storing, "_RECORD_HEAD_START", 0.1)


async def run_session(
    house: House, numbers: list[int] | None = None, **params: object
) -> tuple[Session, list[AnyEntry]]:
    """Run a session up to ``Stopped``."""
    params = {"protocol": "test"} | params
    session = await house.gateway.open_session(SessionParams(**params))  # type: ignore[arg-type]
    await say(session, speech(NUMBERS if numbers is None else numbers))
    session.stop()
    return session, await follow_until(session, Stopped)


def stopped(log: list[AnyEntry]) -> Stopped:
    assert isinstance(log[-1], Stopped)
    return log[-1]


async def rows(house: House, session: Session) -> list[Utterance]:
    conversation = await house.transcripts.get(session.id)
    assert conversation is not None
    return list(conversation.utterances)


async def test_everything_is_stored_and_the_spool_is_empty(tmp_path: Path) -> None:
    """Utterances with all their finals and words, the outcome, the recording; then no trace is left."""
    async with open_house(tmp_path, Speaker()) as house:
        session, log = await run_session(
            house,
            title="Title",
            client_ref="ref",
            metadata={"a": 1, "b": None},
        )
        assert stopped(log).stored.transcript
        assert stopped(log).stored.audio
        await until_gone(house, session)
        assert house.spooled == []
        stored = await rows(house, session)
        assert [row.text for row in stored] == [
            spell(range(1, 11)),
            spell(range(11, 21)),
            spell(range(21, 26)),
        ]
        for row in stored:
            assert " ".join(word.text for word in row.words) == row.text
            assert (row.start, row.end) == (row.words[0].start, row.words[-1].end)
            assert (row.provider, row.channel) == ("p1", 0)
        assert [row.number for row in stored] == [1, 2, 3]
        start, end = house.transcripts.starts[session.id], house.transcripts.ends[session.id]
        assert (start.protocol, start.title, start.client_ref) == ("test", "Title", "ref")
        assert (start.sample_rate, start.channels) == (16_000, 1)
        assert (end.state, end.reason, end.recording, end.provider) == (
            "completed",
            "client",
            True,
            "p1",
        )
        assert end.duration == pytest.approx(2.5)
        assert end.metadata == {"a": 1, "b": None}
        assert house.recordings.files[session.id][44:] == speech(NUMBERS)


async def test_marks_and_late_metadata_are_stored(tmp_path: Path) -> None:
    """What a client adds while it speaks is part of what is kept."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(
            SessionParams(protocol="test", metadata={"a": 1, "b": 2})
        )
        await say(session, speech(range(1, 6)))
        session.mark("here")
        session.add_metadata({"b": 3, "c": "x"})
        await say(session, speech(range(6, 11)))
        session.stop()
        await follow_until(session, Stopped)
        end = house.transcripts.ends[session.id]
        assert [(mark.at, mark.label) for mark in end.marks] == [(0.5, "here")]
        assert end.metadata == {"a": 1, "b": 3, "c": "x"}


@pytest.mark.parametrize(
    "said",
    [
        [final("a", 0.0, 0.2), replace(final("b", 0.2, 0.4), endpoint=True)],
        [final("a", 0.0, 0.2), final("b", 0.2, 0.4), UtteranceEnd(at=0.4)],
        [final("a", 0.0, 0.2), final("b", 0.2, 0.4), replace(final("", 0.4, 0.5), endpoint=True)],
        [final("a", 0.0, 0.2), final("b", 0.2, 0.4)],
    ],
    ids=["flag", "event", "empty final", "end of the audio"],
)
async def test_an_utterance_is_complete_however_its_end_is_told(
    tmp_path: Path, said: list[ProviderEvent]
) -> None:
    """An endpoint on the last final, one that comes apart, and the end all complete the row."""
    async with open_house(tmp_path, Recited(*said)) as house:
        session, _ = await run_session(house, [1, 2, 3, 4, 5])
        (row,) = await rows(house, session)
        assert (row.text, row.complete) == ("a b", True)


async def test_an_open_utterance_is_stored_as_it_grows(tmp_path: Path) -> None:
    """Finals are in the store long before their utterance is over."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(range(1, 6)))
        await eventually(lambda: house.transcripts.utterances.get(session.id))
        (row,) = await rows(house, session)
        assert (row.text, row.complete) == (spell(range(1, 6)), False)
        await say(session, speech(range(6, 11)))
        await eventually(lambda: house.transcripts.utterances[session.id][1].complete)
        (row,) = await rows(house, session)
        assert row.text == spell(range(1, 11))
        session.stop()
        await follow_until(session, Stopped)


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
async def test_live_words_go_on_while_the_transcript_store_is_out(
    tmp_path: Path, outage: Exception
) -> None:
    """The client gets its words and one warning; when the store is back it gets everything."""
    transcripts = MemoryTranscripts()
    async with open_house(tmp_path, Speaker(), transcripts=transcripts) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(NUMBERS[:5]))
        await eventually(lambda: transcripts.utterances.get(session.id))
        transcripts.failing = outage
        await say(session, speech(NUMBERS[5:15]))
        await eventually(lambda: transcripts.refused >= 3)
        assert session.store_outage_s > 0
        log = await follow_until(session, Warning)
        assert text(log).startswith(spell(NUMBERS[:10]))
        transcripts.failing = None
        await say(session, speech(NUMBERS[15:]))
        session.stop()
        log = await follow_until(session, Stopped)
        assert stopped(log).stored.transcript
        assert [w.code for w in of_kind(log, Warning)] == ["storage_failed"]
        assert session.store_outage_s == 0
        assert " ".join(row.text for row in await rows(house, session)) == spell(NUMBERS)
        assert all(row.complete for row in await rows(house, session))


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
async def test_stopped_does_not_wait_for_a_store_for_ever(
    tmp_path: Path, outage: Exception
) -> None:
    """``stopped`` says what is not stored yet; the spool keeps it until the store is back."""
    transcripts = MemoryTranscripts(failing=None)
    async with open_house(tmp_path, Speaker(), transcripts=transcripts) as house:
        transcripts.failing = outage
        session, log = await run_session(house)
        assert text(log) == spell(NUMBERS)
        assert not stopped(log).stored.transcript
        assert stopped(log).links.session is None
        assert stopped(log).full_transcription == spell(NUMBERS)
        assert house.spooled == [session.id]
        transcripts.failing = None
        await until_gone(house, session)
        assert " ".join(row.text for row in await rows(house, session)) == spell(NUMBERS)
        assert house.transcripts.ends[session.id].recording
        assert house.transcripts.ends[session.id].state == "completed"
        assert house.spooled == []


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
async def test_a_recording_store_that_is_out_gets_it_later(
    tmp_path: Path, outage: Exception
) -> None:
    """The transcript does not wait for it, and its row says in the end that there is a recording."""
    recordings = MemoryRecordings()
    async with open_house(tmp_path, Speaker(), recordings=recordings) as house:
        recordings.failing = outage
        session, log = await run_session(house)
        assert stopped(log).stored.transcript
        assert not stopped(log).stored.audio
        assert [w.code for w in of_kind(log, Warning)] == ["storage_failed"]
        assert not house.transcripts.ends[session.id].recording
        assert house.spooled == [session.id]
        recordings.failing = None
        await until_gone(house, session)
        assert house.transcripts.ends[session.id].recording
        assert recordings.files[session.id][44:] == speech(NUMBERS)
        assert house.spooled == []


async def test_nothing_follows_stopped(tmp_path: Path) -> None:
    """An outage that begins after ``stopped`` is not told to a client that has left."""
    async with open_house(tmp_path, Speaker()) as house:
        house.recordings.failing = StoreError("out")
        session, log = await run_session(house)
        house.transcripts.failing = StoreError("out")
        house.recordings.failing = None
        await eventually(lambda: house.transcripts.refused >= 3)
        assert session.events.last_seq == stopped(log).seq
        house.transcripts.failing = None
        await until_gone(house, session)
        assert house.transcripts.ends[session.id].recording


@pytest.mark.parametrize("out", ["transcripts", "recordings", "both"])
async def test_what_is_not_stored_at_shutdown_is_stored_at_the_next_start(
    tmp_path: Path, out: str
) -> None:
    """A gateway that is closed during an outage leaves the session to the next one."""
    transcripts, recordings = MemoryTranscripts(), MemoryRecordings()
    async with open_house(
        tmp_path, Speaker(), transcripts=transcripts, recordings=recordings
    ) as house:
        if out in {"transcripts", "both"}:
            transcripts.failing = StoreError("out")
        if out in {"recordings", "both"}:
            recordings.failing = StoreError("out")
        session, log = await run_session(house)
        assert stopped(log).stored.transcript == (out == "recordings")
        assert stopped(log).stored.audio == (out == "transcripts")
        await house.gateway.drain("shutdown", timeout=0.1)
        assert house.spooled == [session.id]
    transcripts.failing = recordings.failing = None
    async with open_house(
        tmp_path, Speaker(), transcripts=transcripts, recordings=recordings
    ) as house:
        await eventually(lambda: house.spooled == [])
    assert recordings.files[session.id][44:] == speech(NUMBERS)
    end = transcripts.ends[session.id]
    assert end.recording
    assert end.duration == pytest.approx(2.5)
    assert " ".join(row.text for row in await rows(house, session)) == spell(NUMBERS)


@pytest.mark.parametrize("pieces", [[], [b""], [b"x"]], ids=["none", "empty", "half a sample"])
async def test_a_session_without_audio_is_not_stored(tmp_path: Path, pieces: list[bytes]) -> None:
    """Where no audio came there is nothing to keep, not even a row."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        for piece in pieces:
            session.append(piece)
            await asyncio.sleep(0.05)
        session.stop()
        log = await follow_until(session, Stopped)
        assert stopped(log).stored.transcript is stopped(log).stored.audio is False
        assert session.state == "completed"
        await until_gone(house, session)
        assert not house.transcripts.starts
        assert not house.recordings.files
        assert house.spooled == []


async def test_a_session_without_words_is_stored(tmp_path: Path) -> None:
    """Audio is worth keeping whether anything was said or not."""
    async with open_house(tmp_path, Speaker()) as house:
        session, log = await run_session(house, [0, 0, 0])
        assert stopped(log).stored.transcript
        assert await rows(house, session) == []
        assert house.transcripts.ends[session.id].state == "completed"
        assert house.recordings.files[session.id][44:] == speech([0, 0, 0])


@pytest.mark.parametrize("transcript", [True, False])
@pytest.mark.parametrize("audio", [True, False])
async def test_only_what_may_outlive_the_session_does(
    tmp_path: Path, transcript: bool, audio: bool
) -> None:
    """A client that wants no transcript or no recording kept leaves none."""
    async with open_house(tmp_path, Speaker()) as house:
        session, log = await run_session(house, store_transcript=transcript, store_audio=audio)
        assert text(log) == spell(NUMBERS)
        assert (stopped(log).stored.transcript, stopped(log).stored.audio) == (transcript, audio)
        assert (stopped(log).links.session is not None) == transcript
        assert (stopped(log).links.audio is not None) == audio
        await until_gone(house, session)
        assert (session.id in house.transcripts.starts) == transcript
        assert (session.id in house.recordings.files) == audio
        assert house.spooled == []


async def test_a_discarded_session_leaves_nothing(tmp_path: Path) -> None:
    """What was stored already is deleted, and nothing is added."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(NUMBERS))
        await eventually(lambda: house.transcripts.utterances.get(session.id))
        session.stop(discard=True)
        log = await follow_until(session, Stopped)
        assert session.state == "discarded"
        assert stopped(log).stored.transcript is stopped(log).stored.audio is False
        await until_gone(house, session)
        assert not house.transcripts.starts
        assert not house.recordings.files
        assert house.spooled == []


async def test_discarding_waits_for_a_store_that_is_out(tmp_path: Path) -> None:
    """What a client wants gone goes, even if its store is out at that moment."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(NUMBERS))
        await eventually(lambda: house.transcripts.utterances.get(session.id))
        house.transcripts.failing = StoreError("out")
        session.stop(discard=True)
        await follow_until(session, Stopped)
        assert house.transcripts.starts
        house.transcripts.failing = None
        await until_gone(house, session)
        assert not house.transcripts.starts
        assert house.spooled == []


class SlowTranscripts(MemoryTranscripts):
    """Takes its time over each row."""

    async def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        """Keep the row, slowly."""
        await asyncio.sleep(0.01)
        await super().add_utterance(session_id, utterance)


async def test_a_slow_store_does_not_slow_the_words(tmp_path: Path) -> None:
    """Hundreds of finals are shown long before the store has them, and none is skipped there."""
    numbers = list(range(1, 1001))
    async with open_house(tmp_path, Speaker(), transcripts=SlowTranscripts()) as house:
        session, log = await run_session(house, numbers)
        assert text(log) == spell(numbers)
        await until_gone(house, session)
        assert " ".join(row.text for row in await rows(house, session)) == spell(numbers)


@pytest.mark.usefixtures("impatient")
async def test_each_row_says_who_recognised_it(tmp_path: Path) -> None:
    """After a failover the rows name the next provider."""
    async with open_house(tmp_path, Speaker(faults=[Fault("auth", 12)]), Speaker()) as house:
        session, _ = await run_session(house)
        assert [row.provider for row in await rows(house, session)] == ["p1", "p2", "p2"]
        assert house.transcripts.ends[session.id].provider == "p2"
