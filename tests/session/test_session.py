"""One session: its states, its clock, its end; and that it costs the same however long it is."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import time
import tracemalloc
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from sttgate.events import Finalized, ProviderEvent, Transcript, Word
from sttgate.provider import AudioInput, Capabilities, Provider, StreamParams
from sttgate.session import recognition
from sttgate.session import session as session_module
from sttgate.session.audio_log import TAIL_BYTES
from sttgate.session.entries import Finalized as FinalizedEntry
from sttgate.session.entries import Gap, Marked, Paused, Started, Stopped, Unpaused, Warning
from sttgate.session.event_log import MEMORY_ENTRIES
from sttgate.session.params import SessionParams, dump_params, load_params
from sttgate.session.session import Session
from sttgate.session.states import MOVES, State, check_move
from sttgate.stores import Recording, SessionEnd, SessionStart, Utterance
from tests.session.engines import (
    House,
    MemoryRecordings,
    MemoryTranscripts,
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

figures = logging.getLogger(__name__)


async def open_session(house: House, **params: object) -> Session:
    params = {"protocol": "test"} | params
    return await house.gateway.open_session(SessionParams(**params))  # type: ignore[arg-type]


# --- states -----------------------------------------------------------------------------------------


def test_the_table_of_moves() -> None:
    """A session opens, listens and recovers as often as need be, drains once, and ends in one way."""
    live = {State.OPENING, State.LISTENING, State.RECOVERING, State.DRAINING}
    assert set(MOVES) == live
    allowed = {
        (State.OPENING, State.LISTENING),
        (State.OPENING, State.RECOVERING),
        (State.OPENING, State.DRAINING),
        (State.LISTENING, State.RECOVERING),
        (State.LISTENING, State.DRAINING),
        (State.RECOVERING, State.LISTENING),
        (State.RECOVERING, State.DRAINING),
        *((State.DRAINING, ended) for ended in set(State) - live),
    }
    for before, to in itertools.product(State, State):
        if (before, to) in allowed:
            check_move(before, to)
        else:
            with pytest.raises(RuntimeError, match=f"from {before} to {to}"):
                check_move(before, to)


def test_params_survive_the_spool() -> None:
    """What is written for the recovery after a crash reads back as it was."""
    params = SessionParams(
        protocol="native/2",
        provider="p",
        multichannel=True,
        stream=StreamParams(
            language="de", keyterms=("a", "b"), endpointing_ms=False, utterance_end_ms=1000
        ),
        metadata={"a": 1, "b": None, "c": "x", "d": 1.5, "e": True},
        store_audio=False,
        resumable=True,
    )
    assert load_params(dump_params(params)) == params
    assert load_params(b"") is None
    assert load_params(b'{"id": "x"') is None
    assert load_params(b"[]") is None


# --- what a caller does -------------------------------------------------------------------------------


async def test_paused_audio_is_dropped_and_the_clock_stands_still(tmp_path: Path) -> None:
    """While paused nothing is recorded or heard; the provider stays, and times go on without a hole."""
    provider = Speaker()
    async with open_house(tmp_path, provider) as house:
        session = await open_session(house)
        await say(session, speech([1, 2]))
        session.pause()
        await say(session, speech([101, 102, 103]))
        session.mark("paused")
        session.unpause()
        await say(session, speech([3, 4]))
        session.stop()
        log = await follow_until(session, Stopped)
        await until_gone(house, session)
        assert house.recordings.files[session.id][44:] == speech([1, 2, 3, 4])
    assert text(log) == "w1 w2 w3 w4"
    assert [entry.t for entry in of_kind(log, Paused)] == [0.2]
    assert [(entry.t, entry.label) for entry in of_kind(log, Marked)] == [(0.2, "paused")]
    assert [entry.t for entry in of_kind(log, Unpaused)] == [0.2]
    assert finals(log)[-1].end == 0.4
    assert session.received_bytes == len(speech([1, 2, 101, 102, 103, 3, 4]))
    assert provider.streams == 1


async def test_the_first_stop_counts(tmp_path: Path) -> None:
    """After it neither audio nor finalizes nor another stop change anything."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await open_session(house)
        await say(session, speech([1, 2]))
        session.stop("max_duration")
        session.stop("client", discard=True)
        session.append(speech([3]))
        session.finalize(1)
        log = await follow_until(session, Stopped)
        await until_gone(house, session)
        assert session.id in house.recordings.files
    stopped = log[-1]
    assert isinstance(stopped, Stopped)
    assert (stopped.reason, stopped.full_transcription) == ("max_duration", "w1 w2")
    assert session.received_bytes == len(
        speech([1, 2])
    )  # what is in no recording is not acknowledged
    assert not of_kind(log, FinalizedEntry)
    assert sum(isinstance(entry, Stopped) for entry in log) == 1


async def test_half_a_sample_at_the_end_is_told(tmp_path: Path) -> None:
    """Audio that ends inside a sample is kept up to there, with a warning."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await open_session(house)
        await say(session, speech([1]) + b"x", chunk=777)
        session.stop()
        log = await follow_until(session, Stopped)
    assert [warning.code for warning in of_kind(log, Warning)] == ["audio_misaligned"]
    assert text(log) == "w1"


async def test_what_the_provider_cannot_do_is_told(tmp_path: Path) -> None:
    """Each parameter that the provider does not support comes back as a warning after ``started``."""
    provider = Speaker(capabilities=Capabilities(punctuate=True))
    stream = StreamParams(diarize=True, punctuate=True, keyterms=("a",), profanity_filter=False)
    async with open_house(tmp_path, provider) as house:
        session = await open_session(house, stream=stream)
        session.stop()
        log = await follow_until(session, Stopped)
    warnings = of_kind(log, Warning)
    assert {warning.code for warning in warnings} == {"unsupported_parameter"}
    assert [warning.message.split()[-1] for warning in warnings] == ["diarize.", "keyterms."]
    assert isinstance(log[0], Started)


async def test_started_says_what_the_session_is(tmp_path: Path) -> None:
    """The first entry has the id, the format, the parameters and the metadata."""
    async with open_house(tmp_path, Speaker()) as house:
        stream = StreamParams(language="de", model="m")
        session = await open_session(house, stream=stream, metadata={"a": 1}, created_at=0.5)
        (started,) = await follow_until(session, Started)
        session.stop()
        await follow_until(session, Stopped)
    assert isinstance(started, Started)
    assert (started.seq, started.session_id, started.provider) == (1, session.id, "p1")
    assert (started.sample_rate, started.channels, started.encoding) == (16_000, 1, "linear16")
    assert (started.language, started.model, started.metadata) == ("de", "m", {"a": 1})
    assert started.created_at == "1970-01-01T00:00:00.500Z"


# --- sockets that come and go -----------------------------------------------------------------------


async def test_a_session_ends_with_its_connection(tmp_path: Path) -> None:
    """Without the wish to resume, a lost connection is a stop."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await open_session(house)
        session.attach(lambda: None)
        await say(session, speech([1, 2]))
        session.detach()
        log = await follow_until(session, Stopped)
        assert text(log) == "w1 w2"
        assert session.state == "completed"
        session.detach()


async def test_a_resumable_session_outlives_its_connection(tmp_path: Path) -> None:
    """It goes on for the next one, and what was said before can be read after the end too."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await open_session(house, resumable=True)
        assert session.resume_token
        session.attach(lambda: None)
        await say(session, speech([1, 2]))
        session.detach()
        await asyncio.sleep(0.05)
        session.attach(lambda: None)
        await say(session, speech([3, 4]))
        session.stop()
        await follow_until(session, Stopped)
        assert session.id in house.gateway.sessions
        assert text(await follow_until(session, Stopped)) == "w1 w2 w3 w4"
        session.release()
        await until_gone(house, session)
        assert house.transcripts.ends[session.id].state == "completed"


async def test_nobody_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time for it is over the session is ended and stored as incomplete."""
    monkeypatch.setattr(session_module, "RESUME_WINDOW", 0.1)
    async with open_house(tmp_path, Speaker()) as house:
        session = await open_session(house, resumable=True)
        session.attach(lambda: None)
        await say(session, speech([1, 2]))
        session.detach()
        await until_gone(house, session)
        assert house.transcripts.ends[session.id].state == "incomplete"
        assert house.recordings.files[session.id][44:] == speech([1, 2])


async def test_a_second_connection_takes_over(tmp_path: Path) -> None:
    """The connection before is told, once."""
    told: list[int] = []
    async with open_house(tmp_path, Speaker()) as house:
        session = await open_session(house, resumable=True)
        session.attach(lambda: told.append(1))
        session.attach(lambda: told.append(2))
        session.attach(lambda: told.append(3))
        assert told == [1, 2]
        session.stop()
        session.release()
        await until_gone(house, session)


# --- the end ------------------------------------------------------------------------------------------


class Endless(Provider):
    """Never ends, whatever the audio does; speaks on or is silent."""

    def __init__(self, *, speaks: bool) -> None:
        self._speaks = speaks

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield interims for ever, or nothing."""
        async for _ in audio:
            pass
        while True:
            await asyncio.sleep(0.02)
            if self._speaks:
                yield Transcript(text="er", start=0.0, end=0.1, is_final=False)
        yield Finalized()


async def test_a_provider_that_does_not_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while without progress the session ends without it, and says what was not heard."""
    monkeypatch.setattr(session_module, "DRAIN_TIMEOUT", 0.3)
    async with open_house(tmp_path, Endless(speaks=False)) as house:
        session = await open_session(house)
        await say(session, speech([1, 2, 3]))
        session.stop()
        log = await follow_until(session, Stopped, timeout=10)
        await until_gone(house, session)
        assert session.state == "failed"
        assert [(gap.start, gap.end) for gap in of_kind(log, Gap)] == [(0.0, 0.3)]
        assert house.recordings.files[session.id][44:] == speech([1, 2, 3])


@pytest.mark.usefixtures("impatient")
async def test_a_provider_that_speaks_on_for_ever_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interims without end do not keep a session from ending."""
    monkeypatch.setattr(recognition, "SETTLE_TIMEOUT", 0.2)
    async with open_house(tmp_path, Endless(speaks=True)) as house:
        session = await open_session(house)
        await say(session, speech([1, 2, 3]))
        session.stop()
        log = await follow_until(session, Stopped, timeout=10)
        assert [(gap.start, gap.end) for gap in of_kind(log, Gap)] == [(0.0, 0.3)]


@pytest.mark.parametrize("behind", [10, 200, 5000])
async def test_a_reader_that_is_behind_gets_everything_after_the_end(
    tmp_path: Path, behind: int
) -> None:
    """A slow client reads on after the session has ended and was stored, to its last entry."""
    async with open_house(tmp_path, Speaker(interims=False)) as house:
        session = await open_session(house)
        reader = session.events.reader(0, lambda: None)
        await say(session, speech(range(1, behind + 1)), 32_000)
        session.stop()
        await follow_until(session, Stopped)
        await eventually(lambda: session.id in house.transcripts.ends)
        await asyncio.sleep(0.2)
        seen = []
        while batch := await reader.take():
            seen += batch
        assert text(seen) == spell(range(1, behind + 1))
        assert isinstance(seen[-1], Stopped)
        reader.close()
        await until_gone(house, session)


async def test_a_reader_that_never_reads_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while the session is gone without it."""
    monkeypatch.setattr(session_module, "READ_TIMEOUT", 0.2)
    async with open_house(tmp_path, Speaker()) as house:
        session = await open_session(house)
        reader = session.events.reader(0, lambda: None)
        await say(session, speech(range(1, 1001)))
        session.stop()
        await until_gone(house, session)
        assert house.spooled == []
        reader.close()


# --- what length costs -------------------------------------------------------------------------------


class Shredder(MemoryTranscripts):
    """A store that takes no memory."""

    async def begin(self, session: SessionStart) -> None:
        """Forget it."""

    async def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        """Forget it."""

    async def end(self, session_id: str, end: SessionEnd) -> None:
        """Forget it."""


class Renaming(MemoryRecordings):
    """Takes recordings over as a local store does, without reading them."""

    async def put(self, session_id: str, source: Path) -> Recording:
        """Move the file."""
        target = source.parent.parent.parent / f"{session_id}.wav"
        source.rename(target)
        return Recording(session_id=session_id, size=target.stat().st_size, path=target)


class Chatter(Provider):
    """Speaks as fast as people do: a final of five words for two seconds of audio, interims between."""

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield chatter."""
        settled, heard = 0.0, 0.0
        async for item in audio:
            heard += len(item) / 32_000 if isinstance(item, bytes) else 0.0
            yield self._say(settled, heard, is_final=False)
            if heard >= settled + 2:
                yield self._say(settled, heard, is_final=True)
                settled = heard
        yield self._say(settled, heard, is_final=True)

    @staticmethod
    def _say(start: float, end: float, *, is_final: bool) -> Transcript:
        length = (end - start) / 5
        words = tuple(
            Word(text=f"word{n}", start=start + n * length, end=start + (n + 1) * length)
            for n in range(5)
        )
        text = " ".join(word.text for word in words)
        return Transcript(
            text=text, start=start, end=end, is_final=is_final, endpoint=is_final, words=words
        )


async def speak_for(
    session: Session, seconds: int, every: Callable[[], None] = lambda: None
) -> None:
    """Append audio, never far ahead of the words."""
    pcm = bytes(range(200)) * 64
    for _ in range(seconds * 5 // 2):
        session.append(pcm)
        while session.backlog_s > 3:
            await asyncio.sleep(0)
            await session.audio.room()
        every()


async def test_memory_does_not_grow_with_the_session(
    tmp_path: Path,
) -> None:
    """From the second minute to the thirtieth a session gains next to nothing."""
    async with open_house(
        tmp_path, Chatter(), transcripts=Shredder(), recordings=Renaming()
    ) as house:
        session = await open_session(house)
        following = asyncio.create_task(_forget_everything(session))
        await speak_for(session, 60)
        tracemalloc.start()
        before = await memory_at_rest()
        most_recent = 0

        def look() -> None:
            nonlocal most_recent
            most_recent = max(most_recent, len(session.events._recent))

        await speak_for(session, 1740, look)
        grown = await memory_at_rest() - before
        tracemalloc.stop()
        tail = sum(map(len, session.audio._tail))
        session.stop()
        await following
        await until_gone(house, session)
    figures.info("29 minutes: %+d KiB, %d KiB of tail", grown // 1024, tail // 1024)
    assert most_recent <= MEMORY_ENTRIES
    assert tail < TAIL_BYTES + 32_000  # pieces are let go of whole, and this one is a second
    assert grown < TAIL_BYTES + 256 * 1024


async def memory_at_rest() -> int:
    """Return the bytes in use once everything is written."""
    await asyncio.sleep(0.6)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def _forget_everything(session: Session) -> None:
    reader = session.events.reader(0, lambda: None)
    async for entry in reader.follow():
        if isinstance(entry, Stopped):
            break
    reader.close()


async def test_stopping_takes_no_longer_after_an_hour(
    tmp_path: Path,
) -> None:
    """The time from stop to ``stopped`` hardly depends on how long the session was."""
    took: dict[int, float] = {}
    for minutes in (1, 60):
        folder = tmp_path / str(minutes)
        folder.mkdir()
        async with open_house(
            folder, Chatter(), transcripts=Shredder(), recordings=Renaming()
        ) as house:
            session = await open_session(house)
            await speak_for(session, minutes * 60)
            await asyncio.sleep(0.5)
            began = time.monotonic()
            session.stop()
            await follow_stopped(session)
            took[minutes] = time.monotonic() - began
            await until_gone(house, session)
    figures.info("stopping took %.1f and %.1f ms", 1000 * took[1], 1000 * took[60])
    assert took[60] < max(10 * took[1], 0.5)


async def follow_stopped(session: Session) -> None:
    """Wait for ``Stopped`` like a client that has read everything before."""
    reader = session.events.reader(session.events.last_seq - 1, lambda: None)
    async for entry in reader.follow():
        if isinstance(entry, Stopped):
            break
    reader.close()
