"""The echo provider: a function of the audio alone, with faults on demand."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sttgate import (
    Control,
    Finalized,
    ProviderAuth,
    ProviderError,
    ProviderEvent,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    SpeechStarted,
    StreamParams,
    Transcript,
)
from sttgate.testing import ScriptedAudio, collect, silence
from sttgate_echo import Echo, EchoOptions, sttgate_providers

RATE = 16_000
SCRIPT = ("one two three", "four", "", "five six seven eight")
Items = Sequence[bytes | Control]


def hear(
    options: EchoOptions, items: Items, params: StreamParams | None = None
) -> list[ProviderEvent]:
    return asyncio.run(collect(Echo(options), ScriptedAudio(items), params))


def finals(events: Iterable[ProviderEvent]) -> list[Transcript]:
    return [event for event in events if isinstance(event, Transcript) and event.is_final]


def interims(events: Iterable[ProviderEvent]) -> list[Transcript]:
    return [event for event in events if isinstance(event, Transcript) and not event.is_final]


def words(events: Iterable[ProviderEvent]) -> list[str]:
    return " ".join(final.text for final in finals(events)).split()


def cut(pcm: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Return ``pcm`` in pieces of these many samples."""
    pieces: list[bytes] = []
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(pcm):
            return pieces
        pieces.append(pcm[at : at + 2 * size])
        at += 2 * size
    return [pcm]


def check_finals(events: list[ProviderEvent], seconds: float) -> None:
    """Assert clauses 2 and 3, and that all audio is settled."""
    at = 0.0
    for final in finals(events):
        assert final.start == pytest.approx(at)
        assert final.end > final.start
        assert final.endpoint
        for word in final.words:
            assert final.start - 1e-6 <= word.start <= word.end <= final.end + 1e-6
        at = final.end
    assert at == pytest.approx(seconds)
    settled = 0.0
    for event in events:
        if isinstance(event, Transcript):
            assert event.start == pytest.approx(settled)
            settled = event.end if event.is_final else settled


# --- what it says -----------------------------------------------------------------------------------


def test_by_default_it_counts_the_seconds() -> None:
    """A final each five seconds, one for the rest, and interims that grow in between."""
    events = hear(EchoOptions(), cut(silence(12.3), [1600]))
    assert [final.text for final in finals(events)] == [
        "heard 5.0 seconds",
        "heard 5.0 seconds",
        "heard 2.3 seconds",
    ]
    check_finals(events, 12.3)
    assert [event.text for event in interims(events)][:3] == [
        "heard 0.1 seconds",
        "heard 0.2 seconds",
        "heard 0.3 seconds",
    ]


def test_a_script_is_spoken_in_step_with_the_audio() -> None:
    """Each sentence begins, grows word by word, and becomes a final when it is over."""
    options = EchoOptions(script=SCRIPT, words_per_second=2.0, pause=1.0)
    events = hear(options, cut(silence(9.0), [800]))
    assert [final.text for final in finals(events) if final.text] == [
        "one two three",
        "four",
        "five six seven eight",
    ]
    assert [(final.start, final.end) for final in finals(events)] == [
        (0.0, 1.5),
        (1.5, 3.0),
        (3.0, 6.0),
        (6.0, 9.0),
    ]
    assert [event.at for event in events if isinstance(event, SpeechStarted)] == [0.0, 2.5, 4.0]
    assert [event.text for event in interims(events)] == [
        "one",
        "one two",
        "five",
        "five six",
        "five six seven",
    ]
    check_finals(events, 9.0)


def test_a_script_may_start_again() -> None:
    """With ``repeat`` it goes on as long as there is audio, else there is silence."""
    options = EchoOptions(script=("a b",), words_per_second=10.0, pause=0.3)
    again = hear(options.model_copy(update={"repeat": True}), [silence(2.0)])
    assert words(again) == ["a", "b"] * 4
    once = hear(options, [silence(20.0)])
    assert words(once) == ["a", "b"]
    check_finals(once, 20.0)


@pytest.mark.parametrize("repeat", [True, False])
def test_a_script_without_words_is_silence(repeat: bool) -> None:
    """Blank sentences, also repeated, are nothing to say."""
    events = hear(EchoOptions(script=("", " "), repeat=repeat), [silence(12.0)])
    assert words(events) == []
    check_finals(events, 12.0)


def test_no_audio_no_words() -> None:
    """A stream without audio says nothing, and its finalize is answered."""
    for options in (EchoOptions(), EchoOptions(script=SCRIPT)):
        assert hear(options, []) == []
        assert hear(options, [Control.FINALIZE]) == [Finalized()]


_sizes = st.lists(st.integers(40, 9600), min_size=1, max_size=5)
_options = st.one_of(
    st.just(EchoOptions()),
    st.builds(
        EchoOptions,
        script=st.lists(st.sampled_from(["a", "b c", "d e f g", ""]), max_size=4).map(tuple),
        words_per_second=st.sampled_from([0.15, 0.7, 2.5, 11.0]),
        pause=st.sampled_from([0.0, 0.6, 5.0, 12.5]),
        repeat=st.booleans(),
    ),
)


@settings(max_examples=60, deadline=None)
@given(options=_options, seconds=st.floats(0, 30), sizes=_sizes)
def test_it_is_a_function_of_the_audio(
    options: EchoOptions, seconds: float, sizes: list[int]
) -> None:
    """Whatever pieces the audio comes in, finals are the same; with a script, everything is."""
    pcm = silence(seconds)
    pieces, whole = hear(options, cut(pcm, sizes)), hear(options, [pcm] if pcm else [])
    assert finals(pieces) == finals(whole)
    if options.script:
        assert pieces == whole
    check_finals(pieces, len(pcm) / 2 / RATE)


@settings(max_examples=60, deadline=None)
@given(
    options=_options,
    parts=st.lists(st.floats(0, 8), max_size=6),
    sizes=_sizes,
)
def test_finalize_settles_all_audio_so_far(
    options: EchoOptions, parts: list[float], sizes: list[int]
) -> None:
    """Before each ``Finalized`` finals cover what came before it, and no word is lost or doubled."""
    items: list[bytes | Control] = []
    for seconds in parts:
        items += [*cut(silence(seconds), sizes), Control.FINALIZE]
    events = hear(options, items)
    total = sum(len(item) for item in items if isinstance(item, bytes)) / 2 / RATE
    check_finals(events, total)
    answers = [at for at, event in enumerate(events) if isinstance(event, Finalized)]
    assert len(answers) == len(parts)
    for count, at in enumerate(answers, 1):
        settled = max((final.end for final in finals(events[:at])), default=0.0)
        heard = sum(len(silence(seconds)) for seconds in parts[:count]) / 2 / RATE
        assert settled == pytest.approx(heard)
    if options.script:
        assert words(events) == words(hear(options, [silence(total)]))


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_time_is_that_of_the_audio_at_any_rate(rate: int) -> None:
    """Two seconds are two seconds at whatever rate."""
    events = hear(EchoOptions(), [silence(2.0, rate)], StreamParams(sample_rate=rate))
    check_finals(events, 2.0)


# --- the clauses that need a running stream -----------------------------------------------------------


async def test_two_streams_share_nothing() -> None:
    """Streams of one provider that run at once each hear only their own audio (clause 7)."""
    echo = Echo(EchoOptions(script=SCRIPT, words_per_second=5.0))
    lengths = (0.5, 3.0, 7.0)
    alone = [
        await collect(echo, ScriptedAudio(cut(silence(seconds), [1600]))) for seconds in lengths
    ]
    together = await asyncio.gather(
        *(collect(echo, ScriptedAudio(cut(silence(seconds), [1600]))) for seconds in lengths)
    )
    assert together == alone


async def test_a_slow_consumer_slows_it() -> None:
    """While nobody takes its events it reads no audio (clause 9)."""
    audio = ScriptedAudio(cut(silence(10.0), [1600]))
    async with aclosing(Echo(EchoOptions()).transcribe(audio, StreamParams())) as stream:
        await anext(stream)
        await asyncio.sleep(0.05)
        assert audio.unread >= 99


@pytest.mark.parametrize("options", [EchoOptions(), EchoOptions(stall_after=0.1)])
async def test_it_can_be_cancelled_anywhere(options: EchoOptions) -> None:
    """Cancelled while it waits for audio, or while it stalls, it is gone at once (clause 6)."""
    audio = ScriptedAudio()
    before = asyncio.all_tasks()
    hearing = asyncio.create_task(collect(Echo(options), audio))
    await audio.put(silence(0.5))
    await asyncio.sleep(0.02)
    assert not hearing.done()
    hearing.cancel()
    async with asyncio.timeout(1):
        await asyncio.wait({hearing})
    assert hearing.cancelled()
    assert asyncio.all_tasks() == before


async def test_it_waits_for_audio_in_peace() -> None:
    """A pause of the caller is neither an error nor an end (clause 8, for a moment)."""
    audio = ScriptedAudio()
    hearing = asyncio.create_task(collect(Echo(EchoOptions()), audio))
    await audio.put(silence(1.0))
    await asyncio.sleep(0.3)
    await audio.put(silence(1.0))
    await audio.end()
    async with asyncio.timeout(5):
        events = await hearing
    check_finals(events, 2.0)


async def test_it_opens_closes_and_checks_without_anything() -> None:
    """There is nothing to be reached, so all is well."""
    echo = Echo(EchoOptions())
    await echo.open()
    await echo.check()
    await echo.close()
    (spec,) = sttgate_providers()
    assert spec.name == "echo"
    assert isinstance(spec.factory(spec.options()), Echo)


# --- faults -------------------------------------------------------------------------------------------

ERRORS: list[tuple[str, type[ProviderError]]] = [
    ("unavailable", ProviderUnavailable),
    ("auth", ProviderAuth),
    ("quota", ProviderQuota),
    ("rejected", ProviderRejected),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS)
def test_it_refuses_with_the_error_it_is_told(error: str, kind: type[ProviderError]) -> None:
    """``refuse`` fails every stream before its first event."""
    options = EchoOptions.model_validate({"refuse": True, "error": error})
    with pytest.raises(kind, match="refused the stream"):
        hear(options, [silence(1.0)])


@pytest.mark.parametrize(("error", "kind"), ERRORS)
async def test_it_dies_with_the_error_it_is_told(error: str, kind: type[ProviderError]) -> None:
    """``die_after`` breaks off after that much audio, whatever pieces it comes in."""
    for sizes in ([1600], [4800], [700, 3000], [200_000]):
        echo = Echo(EchoOptions.model_validate({"die_after": 7.25, "error": error}))
        events, broken = await until_broken(echo, cut(silence(12.0), sizes))
        assert type(broken) is kind
        assert "after 7.25 s" in str(broken)
        assert [final.text for final in finals(events)] == ["heard 5.0 seconds"]
        assert max(e.end for e in events if isinstance(e, Transcript)) <= 7.25


async def until_broken(echo: Echo, items: Items) -> tuple[list[ProviderEvent], ProviderError]:
    """Return the events up to the error, and the error."""
    events: list[ProviderEvent] = []
    try:
        async for event in echo.transcribe(ScriptedAudio(items), StreamParams()):
            events.append(event)
    except ProviderError as error:
        return events, error
    raise AssertionError("it did not break")


async def test_it_stalls_when_it_is_told() -> None:
    """``stall_after`` neither reads nor speaks any more, and raises nothing."""
    audio = ScriptedAudio(cut(silence(3.0), [1600]))
    events: list[ProviderEvent] = []

    async def listen() -> None:
        async for event in Echo(EchoOptions(stall_after=1.0)).transcribe(audio, StreamParams()):
            events.append(event)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await listen()
    assert audio.unread == 21  # two seconds and the end
    assert [event.text for event in interims(events)][-1] == "heard 1.0 seconds"


async def test_it_is_slow_when_it_is_told() -> None:
    """``delay`` passes before each event, and changes none of them."""
    began = time.monotonic()
    slow = await collect(Echo(EchoOptions(delay=0.02)), ScriptedAudio([silence(0.1)] * 10))
    assert time.monotonic() - began >= 0.02 * len(slow) * 0.9
    assert slow == await collect(Echo(EchoOptions()), ScriptedAudio([silence(0.1)] * 10))


@pytest.mark.parametrize(
    "bad",
    [
        {"words_per_second": 0},
        {"words_per_second": 101},
        {"pause": -1},
        {"die_after": 0},
        {"stall_after": 0},
        {"delay": -1},
        {"error": "other"},
        {"unknown": 1},
    ],
    ids=lambda bad: next(iter(bad)),
)
def test_options_that_make_no_sense_are_refused(bad: dict[str, object]) -> None:
    """The model of the options tells at start-up, not the stream later."""
    with pytest.raises(ValidationError):
        EchoOptions.model_validate(bad)
