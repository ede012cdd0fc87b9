"""The gateway: what it opens with, whom it admits, and that it lets go of everything."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from sttgate.errors import (
    ErrorCode,
    NotConfigured,
    ProviderTimeout,
    ProviderUnavailable,
    RequestError,
    StoreError,
)
from sttgate.events import Finalized, ProviderEvent
from sttgate.gateway import Gateway
from sttgate.lineup import Lineup, StartupError
from sttgate.provider import AudioInput, Capabilities, Provider, StreamParams
from sttgate.session import chain as chain_module
from sttgate.session.chain import Breaker, ConfiguredProvider, Health, next_provider
from sttgate.session.entries import Started, Stopped
from sttgate.session.params import SessionParams
from sttgate.session.spool import AUDIO_FILE, EVENTS_FILE, META_FILE, Spool
from tests.conftest import MakeGateway
from tests.gateways import build_config, scripted
from tests.session.engines import (
    Fault,
    MemoryRecordings,
    MemoryTranscripts,
    Speaker,
    build_house,
    eventually,
    follow_until,
    open_house,
    say,
    speech,
    spell,
    text,
    until_gone,
)

PLUGIN = '''
from sttgate import NotConfigured, Provider, ProviderSpec, hookimpl


class Needy(Provider):
    """Needs a key that nobody has."""

    def __init__(self, options):
        raise NotConfigured("set NEEDY_KEY to the key of your account")

    async def transcribe(self, audio, params):
        yield


@hookimpl
def sttgate_providers():
    return [ProviderSpec(name="needy", factory=Needy)]
'''


def needy(folder: Path, chain: Sequence[str]) -> dict[str, object]:
    """Return sections with a provider that has nothing to work with, and one that needs nothing."""
    plugins = folder / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "needy.py").write_text(PLUGIN)
    return {
        "plugins": {"dirs": ["plugins"]},
        "providers": {"needy": {}, "echo": {}},
        "chain": list(chain),
    }


# --- starting ----------------------------------------------------------------------------------------


def test_a_provider_without_what_it_needs_is_skipped(tmp_path: Path) -> None:
    """The others of the chain are used, and the reason can be asked for."""
    gateway = Gateway.from_config(build_config(tmp_path, **needy(tmp_path, ["needy", "echo"])))
    assert [provider.name for provider in gateway.chain] == ["echo"]
    (skipped,) = gateway.skipped
    assert (skipped.name, skipped.reason) == ("needy", "set NEEDY_KEY to the key of your account")
    assert set(gateway.providers) == {"echo"}


def test_a_provider_outside_the_chain_is_not_missed(tmp_path: Path) -> None:
    """What nobody uses by default is no reason for a warning."""
    gateway = Gateway.from_config(build_config(tmp_path, **needy(tmp_path, ["echo"])))
    assert gateway.skipped == ()


def test_without_any_provider_there_is_no_start(tmp_path: Path) -> None:
    """The sentence names the provider, what it needs, and where to choose another."""
    config = build_config(tmp_path, **needy(tmp_path, ["needy"]))
    with pytest.raises(StartupError) as caught:
        Gateway.from_config(config)
    message = str(caught.value)
    assert "needy: set NEEDY_KEY to the key of your account" in message
    assert "chain" in message
    assert "\n" not in message
    assert isinstance(caught.value, NotConfigured)


async def test_the_example_configuration_opens_and_closes(
    tmp_path: Path, make_gateway: MakeGateway
) -> None:
    """Echo, sqlite and files work together, and a session passes through."""
    gateway = await make_gateway(providers=scripted())
    session = await gateway.open_session(SessionParams(protocol="test"))
    session.append(bytes(32_000))
    session.stop()
    log = await follow_until(session, Stopped)
    assert isinstance(log[-1], Stopped)
    assert log[-1].stored.transcript
    assert log[-1].stored.audio


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_spool_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    """A folder without permission is a sentence that names it, not a traceback."""
    path = tmp_path / "closed"
    path.mkdir(mode=0o500)
    gateway = build_house(path, Speaker()).gateway
    with pytest.raises(StartupError, match="closed"):
        await gateway.open()


async def test_a_spool_in_the_way_of_a_file_is_told(tmp_path: Path) -> None:
    """The sentence names the path and the setting, and no thread is left."""
    (tmp_path / "spool").write_text("a file")
    gateway = build_house(tmp_path, Speaker()).gateway
    with pytest.raises(StartupError, match=r"spool\.path") as caught:
        await gateway.open()
    assert str(tmp_path / "spool") in str(caught.value)


@pytest.mark.parametrize("which", ["transcripts", "recordings"])
async def test_a_store_that_does_not_open_leaves_nothing_open(tmp_path: Path, which: str) -> None:
    """The error comes out as it is; the other store and the spool are closed again."""
    house = build_house(
        tmp_path,
        Speaker(),
        transcripts=MemoryTranscripts(failing=StoreError("no") if which == "transcripts" else None),
        recordings=MemoryRecordings(failing=StoreError("no") if which == "recordings" else None),
    )
    with pytest.raises(StoreError, match="no"):
        await house.gateway.open()
    assert not house.transcripts.opened
    assert not house.recordings.opened


# --- providers ---------------------------------------------------------------------------------------


class Counted(Speaker):
    """Counts how often it is opened and closed."""

    opens = closes = 0

    async def open(self) -> None:
        """Count."""
        self.opens += 1
        await super().open()

    async def close(self) -> None:
        """Count."""
        self.closes += 1


async def test_providers_are_opened_once_and_closed_once(tmp_path: Path) -> None:
    """However many sessions there are, and also when nobody used a provider."""
    first, second = Counted(), Counted()
    async with open_house(tmp_path, first, second) as house:
        for _ in range(3):
            session = await house.gateway.open_session(SessionParams(protocol="test"))
            session.stop()
            await follow_until(session, Stopped)
    assert (first.opens, first.closes) == (second.opens, second.closes) == (1, 1)


async def test_a_provider_that_fails_to_open_is_tried_again(tmp_path: Path) -> None:
    """Sessions fall to the next of the chain meanwhile; later ones get the first, once it opens."""
    first, second = Counted(open_error=ProviderUnavailable("not yet")), Counted()
    async with open_house(tmp_path, first, second) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(range(1, 11)))
        session.stop()
        log = await follow_until(session, Stopped)
        assert text(log) == spell(range(1, 11))
        assert isinstance(log[-1], Stopped)
        assert log[-1].provider == "p2"
        first.open_error = None
        house.gateway.providers["p1"].breaker.succeeded()
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        session.stop()
        (started,) = await follow_until(session, Started)
        assert isinstance(started, Started)
        assert started.provider == "p1"
        await follow_until(session, Stopped)


class Odd(Provider):
    """Opens and closes in a way of its own."""

    def __init__(self, *, opening: BaseException | None = None, hangs: bool = False) -> None:
        self._opening = opening
        self._hangs = hangs

    async def open(self) -> None:
        """Raise, or hang."""
        if self._opening is not None:
            raise self._opening
        if self._hangs:
            await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Raise."""
        raise ZeroDivisionError("a mistake of the plugin")

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield nothing."""
        yield Finalized()


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), asyncio.CancelledError()])
async def test_a_foreign_error_of_open_is_a_provider_error(error: BaseException) -> None:
    """A plugin's mistake reads as a provider that is not available, with its cause."""
    provider = ConfiguredProvider("odd", Odd(opening=error))
    kind = type(error).__name__
    with pytest.raises(ProviderUnavailable, match=f"'odd' does not open: {kind}") as caught:
        await provider.ready()
    assert caught.value.__cause__ is error
    assert not provider.is_open
    await provider.close()


async def test_a_provider_that_hangs_in_open_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the next one has its turn; closing does not wait for it either."""
    monkeypatch.setattr(chain_module, "_OPEN_TIMEOUT", 0.05)
    provider = ConfiguredProvider("odd", Odd(hangs=True))
    with pytest.raises(ProviderTimeout, match="did not open within"):
        await provider.ready()
    provider.open_in_background()
    async with asyncio.timeout(5):
        await provider.close()


async def test_a_caller_that_gives_up_does_not_disturb_the_opening(tmp_path: Path) -> None:
    """Opening is shared, so one cancelled session must not cancel it for the others."""
    slow = Slow()
    provider = ConfiguredProvider("slow", slow)
    first = asyncio.create_task(provider.ready())
    second = asyncio.create_task(provider.ready())
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait({first})
    slow.go.set()
    assert await second is slow
    assert provider.is_open
    await provider.close()


class Slow(Speaker):
    """Opens when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def open(self) -> None:
        """Wait."""
        await self.go.wait()


def health(breaker: Breaker) -> Health:
    return breaker.health


def test_a_breaker_keeps_sessions_away_from_who_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three failures open it; after the cool-down one may probe; a success closes it, a failure doubles."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    breaker = ConfiguredProvider("p", Speaker()).breaker
    error = ProviderUnavailable("down")
    for _ in range(2):
        breaker.failed(error)
        assert breaker.admits()
    breaker.failed(error)
    assert health(breaker) is Health.OPEN
    assert not breaker.admits()
    now += 5.1
    assert breaker.admits()
    assert health(breaker) is Health.HALF_OPEN
    assert not breaker.admits()
    breaker.failed(error)
    now += 9.0
    assert not breaker.admits()
    now += 1.1
    assert breaker.admits()
    breaker.succeeded()
    assert health(breaker) is Health.CLOSED
    assert breaker.admits()
    assert breaker.last_failure is not None
    assert breaker.last_failure.message == "down"


def test_the_first_admitted_provider_is_taken() -> None:
    """Who is known to fail is passed over, unless nobody else is left."""
    one, two = ConfiguredProvider("one", Speaker()), ConfiguredProvider("two", Speaker())
    for _ in range(3):
        one.breaker.failed(ProviderUnavailable("down"))
    candidates = [one, two]
    assert next_provider(candidates) is two
    assert next_provider(candidates) is one
    assert candidates == []


# --- admission ---------------------------------------------------------------------------------------


async def test_who_names_a_provider_gets_it_or_an_error(tmp_path: Path) -> None:
    """A named provider is the whole chain, also one that is not in the default chain."""
    first, second = Speaker(), Speaker(always=Fault("auth", 0))
    async with open_house(tmp_path, first, second) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test", provider="p2"))
        await say(session, speech(range(1, 11)))
        session.stop()
        await follow_until(session, Stopped)
        assert first.streams == 0
        assert second.streams >= 1
        assert session.state == "failed"
        with pytest.raises(RequestError, match="'p3'") as caught:
            await house.gateway.open_session(SessionParams(protocol="test", provider="p3"))
        assert caught.value.code is ErrorCode.UNKNOWN_PROVIDER


@pytest.mark.parametrize(
    ("languages", "wanted", "fits"),
    [
        (None, "xx", True),
        (("en",), "en", True),
        (("en",), "en-GB", True),
        (("en-GB",), "en", True),
        (("en-GB",), "en-gb", True),
        (("en-GB",), "en-US", False),
        (("en-US", "en"), "en-GB", True),
        (("en",), "eng", False),
        (("de", "fr"), "en", False),
        (("de",), "auto", True),
        ((), "en", False),
    ],
)
async def test_only_who_speaks_the_language_is_asked(
    tmp_path: Path, languages: tuple[str, ...] | None, wanted: str, fits: bool
) -> None:
    """A general tag and its regional forms match each other; a language nobody speaks is an error."""
    provider = Speaker(capabilities=Capabilities(languages=languages))
    params = SessionParams(protocol="test", stream=StreamParams(language=wanted))
    async with open_house(tmp_path, provider) as house:
        if not fits:
            with pytest.raises(RequestError, match=wanted) as caught:
                await house.gateway.open_session(params)
            assert caught.value.code is ErrorCode.UNSUPPORTED_LANGUAGE
            assert house.spooled == []
            return
        session = await house.gateway.open_session(params)
        session.stop()
        await follow_until(session, Stopped)
        assert provider.streams == 1


async def test_who_does_not_speak_the_language_is_left_out(tmp_path: Path) -> None:
    """The chain of a session has only those who can hear it."""
    german = Speaker(capabilities=Capabilities(languages=("de",)))
    english = Speaker(capabilities=Capabilities(languages=("en",)))
    async with open_house(tmp_path, german, english) as house:
        params = SessionParams(protocol="test", stream=StreamParams(language="en-US"))
        session = await house.gateway.open_session(params)
        session.stop()
        await follow_until(session, Stopped)
    assert (german.streams, english.streams) == (0, 1)


async def test_a_provider_takes_what_it_says_it_can(tmp_path: Path) -> None:
    """Beyond that sessions go to the next of the chain; where none has room they are refused."""
    one = Capabilities(word_times="exact", max_streams=1)
    first, second = Speaker(capabilities=one), Speaker(capabilities=one)
    async with open_house(tmp_path, first, second) as house:
        sessions = []
        for provider in (first, second):
            sessions.append(await house.gateway.open_session(SessionParams(protocol="test")))
            await say(sessions[-1], speech([1, 2]))
            await eventually(lambda provider=provider: provider.heard == 2 * 3200)  # type: ignore[misc]
        with pytest.raises(RequestError, match="No speech engine") as caught:
            await house.gateway.open_session(SessionParams(protocol="test"))
        assert caught.value.code is ErrorCode.CAPACITY
        sessions[0].stop()
        await follow_until(sessions[0], Stopped)
        again = await house.gateway.open_session(SessionParams(protocol="test", provider="p1"))
        await say(again, speech([3]))
        for session in (*sessions[1:], again):
            session.stop()
            await follow_until(session, Stopped)
        assert (first.streams, second.streams) == (2, 1)


async def test_an_id_is_used_once(tmp_path: Path) -> None:
    """A second session of the same id is refused, and the first is not disturbed."""
    async with open_house(tmp_path, Speaker()) as house:
        session = await house.gateway.open_session(SessionParams(id="one", protocol="test"))
        with pytest.raises(RequestError) as caught:
            await house.gateway.open_session(SessionParams(id="one", protocol="test"))
        assert caught.value.code is ErrorCode.STORAGE_FAILED
        await say(session, speech([1, 2]))
        session.stop()
        assert text(await follow_until(session, Stopped)) == "w1 w2"


async def test_a_full_disk_admits_nobody(tmp_path: Path) -> None:
    """Below the reserve new sessions are refused, so that the running ones have room."""
    named = {"p1": ConfiguredProvider("p1", Speaker())}
    gateway = Gateway(
        Lineup(providers=named, chain=tuple(named.values())),
        MemoryTranscripts(),
        MemoryRecordings(),
        Spool(tmp_path / "spool", sync_interval=0),
        min_free_bytes=1 << 60,
    )
    await gateway.open()
    with pytest.raises(RequestError) as caught:
        await gateway.open_session(SessionParams(protocol="test"))
    assert caught.value.code is ErrorCode.CAPACITY
    await gateway.close()


async def test_a_token_opens_only_its_own_session(tmp_path: Path) -> None:
    """Neither a wrong token, nor that of another session, nor an empty one resumes anything."""
    async with open_house(tmp_path, Speaker()) as house:
        plain = await house.gateway.open_session(SessionParams(protocol="test"))
        one, two = [
            await house.gateway.open_session(SessionParams(protocol="test", resumable=True))
            for _ in range(2)
        ]
        assert one.resume_token
        assert two.resume_token
        find = house.gateway.find_resumable
        assert find(one.id, one.resume_token) is one
        assert find(two.id, two.resume_token) is two
        assert find(one.id, two.resume_token) is None
        assert find("nobody", one.resume_token) is None
        for session_id in (one.id, plain.id, "nobody", ""):
            assert find(session_id, "") is None
            assert find(session_id, "ünïcode") is None


# --- draining ----------------------------------------------------------------------------------------


async def test_draining_ends_and_stores_every_session(tmp_path: Path) -> None:
    """Running sessions get their last words and are stored, new ones are refused."""
    async with open_house(tmp_path, Speaker()) as house:
        sessions = [
            await house.gateway.open_session(SessionParams(protocol="test")) for _ in range(5)
        ]
        for session in sessions:
            await say(session, speech(range(1, 18)))
        following = [asyncio.create_task(follow_until(session, Stopped)) for session in sessions]
        await asyncio.sleep(0)
        await house.gateway.drain("shutdown")
        for session, log in zip(sessions, await asyncio.gather(*following), strict=True):
            assert text(log) == spell(range(1, 18))
            assert isinstance(log[-1], Stopped)
            assert log[-1].reason == "shutdown"
            assert house.transcripts.ends[session.id].state == "completed"
        with pytest.raises(RequestError) as caught:
            await house.gateway.open_session(SessionParams(protocol="test"))
        assert caught.value.code is ErrorCode.SHUTDOWN
        await eventually(lambda: not house.gateway.sessions)
        assert house.spooled == []


async def test_a_session_that_opens_while_the_gateway_drains_is_refused(tmp_path: Path) -> None:
    """Nobody slips in between the decision to drain and its end."""
    async with open_house(tmp_path, Speaker()) as house:
        opening = asyncio.create_task(
            house.gateway.open_session(SessionParams(protocol="test")), name="opening"
        )
        await asyncio.sleep(0)
        await house.gateway.drain("shutdown")
        with pytest.raises(RequestError) as caught:
            await opening
        assert caught.value.code is ErrorCode.SHUTDOWN
        assert not house.gateway.sessions
        assert house.spooled == []


async def test_draining_does_not_wait_for_ever(tmp_path: Path) -> None:
    """What a provider or a store holds up is left to the next start, complete."""
    transcripts, recordings = MemoryTranscripts(), MemoryRecordings()
    stalled = Speaker(always=Fault("stall", 7))
    async with open_house(
        tmp_path, stalled, transcripts=transcripts, recordings=recordings
    ) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        await say(session, speech(range(1, 18)))
        async with asyncio.timeout(5):
            await house.gateway.drain("shutdown", timeout=0.2)
        assert house.spooled == [session.id]
    async with open_house(
        tmp_path, Speaker(), transcripts=transcripts, recordings=recordings
    ) as house:
        await eventually(lambda: house.spooled == [])
    conversation = await transcripts.get(session.id)
    assert conversation is not None
    assert conversation.text == spell(range(1, 18))
    assert conversation.session.end is not None
    assert conversation.session.end.state == "interrupted"
    assert conversation.session.end.duration == pytest.approx(1.7)
    assert recordings.files[session.id][44:] == speech(range(1, 18))


# --- what a crash left ---------------------------------------------------------------------------------


async def test_what_cannot_be_recovered_does_not_keep_the_rest(tmp_path: Path) -> None:
    """Folders that make no sense are left or removed; the session beside them is recovered."""
    spool = Spool(tmp_path / "spool", sync_interval=0)
    await spool.open()
    params = SessionParams(id="m-good", protocol="test")
    meta = json.dumps({"id": params.id, "protocol": "test"}).encode()
    folder = await spool.create(params.id, meta)
    folder.audio.append(bytes(44) + speech(range(1, 13)) + b"x")
    await folder.audio.flush()
    await spool.run(folder.close)
    await spool.close()
    for name in ("a-empty", "b-no-audio", "c-no-meta", "d-bad-meta", "e-torn", "z-events-only"):
        path = tmp_path / "spool" / name
        path.mkdir()
        if name in {"b-no-audio", "c-no-meta", "d-bad-meta", "e-torn"}:
            (path / EVENTS_FILE).write_bytes(b'{"event":"transcript"}\n\xff\xfe\n{"eve')
        if name in {"b-no-audio", "d-bad-meta", "e-torn"}:
            good = json.dumps({"id": name, "protocol": "test"}).encode()
            (path / META_FILE).write_bytes(b"\xff{" if name == "d-bad-meta" else good)
        if name in {"c-no-meta", "d-bad-meta", "e-torn"}:
            (path / AUDIO_FILE).write_bytes(bytes(44) + speech(range(1, 4)))
    path = tmp_path / "spool" / "f-no-channels"
    path.mkdir()
    broken = {"id": "f", "protocol": "test", "format": {"sample_rate": 16_000, "channels": 0}}
    (path / META_FILE).write_text(json.dumps(broken))
    (path / EVENTS_FILE).write_bytes(b"")
    (path / AUDIO_FILE).write_bytes(bytes(44) + speech([1]))
    (tmp_path / "spool" / "stray").write_text("not a folder")
    async with open_house(tmp_path, Speaker()) as house:
        await eventually(lambda: "m-good" in house.transcripts.ends)
        await eventually(lambda: "e-torn" in house.transcripts.ends)
        await eventually(lambda: not house.gateway.sessions)
        conversation = await house.transcripts.get("m-good")
        assert conversation is not None
        assert conversation.text == spell(range(1, 13))
        assert house.recordings.files["m-good"][44:] == speech(range(1, 13))
        conversation = await house.transcripts.get("e-torn")
        assert conversation is not None
        assert conversation.text == spell(range(1, 4))
        # Audio that nobody can make sense of is left where it is.
        assert {"c-no-meta", "d-bad-meta", "f-no-channels", "stray"} <= set(house.spooled)
        assert not {"m-good", "e-torn"} & set(house.spooled)
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        session.stop()
        await until_gone(house, session)
