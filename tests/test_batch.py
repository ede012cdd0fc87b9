"""Engines that take whole utterances: what the base class makes of one method."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from sttgate import (
    BatchProvider,
    Capabilities,
    Control,
    Finalized,
    NotConfigured,
    Options,
    ProviderError,
    ProviderEvent,
    ProviderQuota,
    ProviderRejected,
    ProviderSpec,
    ProviderTimeout,
    ProviderUnavailable,
    Recognized,
    SpeechStarted,
    StreamParams,
    Transcript,
    Word,
)
from sttgate.testing import ScriptedAudio, collect, silence, tone
from tests.speech import SECOND, assert_in_order, chunks, finals, interims, reading, spoken

FINALS_ONLY = StreamParams(interim_results=False)


class Numbering(BatchProvider):
    """An engine that numbers the utterances it gets; ``before`` runs first, and may fail or wait."""

    def __init__(self, before: Callable[[int], Any] | None = None, **how: Any) -> None:
        super().__init__(**how)
        self.utterances: list[bytes] = []
        self.running = self.most_running = 0
        self._before = before

    async def recognize(self, pcm: bytes, params: StreamParams) -> Recognized:
        self.utterances.append(pcm)
        number = len(self.utterances)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            if self._before is not None:
                await self._before(number)
        finally:
            self.running -= 1
        return Recognized(text=f"utterance {number}", confidence=0.5, language="en")


@asynccontextmanager
async def opened(provider: BatchProvider) -> AsyncIterator[None]:
    await provider.open()
    try:
        yield
    finally:
        await provider.close()


async def test_speech_is_cut_into_utterances() -> None:
    """Each utterance is recognised once, and its final tells when it was spoken."""
    provider = Numbering(eager=False)
    async with opened(provider):
        events = await collect(provider, ScriptedAudio(chunks(reading())))
    assert_in_order(events, len(reading()) / SECOND)
    assert isinstance(events[0], SpeechStarted)
    assert len(provider.utterances) == len(spoken(events)) > 3
    assert [final.text for final in spoken(events)] == [
        f"utterance {number}" for number in range(1, len(provider.utterances) + 1)
    ]
    assert all(len(pcm) <= 20 * SECOND for pcm in provider.utterances)
    assert not interims(events)
    assert {(final.confidence, final.language) for final in spoken(events)} == {(0.5, "en")}


@pytest.mark.parametrize("size", [2, 998, 9600, 1 << 20])
async def test_the_size_of_the_chunks_does_not_matter(size: int) -> None:
    """Chunks of one sample, of odd lengths and far too large ones give the same utterances."""
    pcm = reading()[: 8 * SECOND]
    provider, other = Numbering(eager=False), Numbering(eager=False)
    async with opened(provider), opened(other):
        expected = await collect(provider, ScriptedAudio(chunks(pcm)))
        assert await collect(other, ScriptedAudio(chunks(pcm, size))) == expected
    assert other.utterances == provider.utterances


async def test_words_without_times_are_laid_over_the_voice() -> None:
    """An engine that tells no times gets an estimate for each word of its text."""
    provider = Numbering(eager=False)
    async with opened(provider):
        events = await collect(provider, ScriptedAudio(chunks(reading()[: 8 * SECOND])))
    for final in spoken(events):
        assert [word.text for word in final.words] == final.text.split()


async def test_words_are_put_on_the_clock_of_the_stream() -> None:
    """Times an engine tells count from the start of its utterance, and never leave the final."""

    class Timed(BatchProvider):
        async def recognize(self, pcm: bytes, params: StreamParams) -> Recognized:
            words = (Word(text="one", start=0.5, end=0.75), Word(text="two", start=0.7, end=99.0))
            return Recognized(text="one, two", words=words)

    provider = Timed(eager=False)
    async with opened(provider):
        events = await collect(
            provider, ScriptedAudio(chunks(silence(2) + reading()[: 4 * SECOND]))
        )
    assert_in_order(events, 6)
    first = spoken(events)[0]
    assert first.text == "one, two"
    one, two = first.words
    assert (one.start - first.start, one.end - one.start) == (pytest.approx(0.5), 0.25)
    assert (two.start, two.end) == (one.end, first.end)


@pytest.mark.parametrize("kind", ["silence", "noise", "tone"])
async def test_what_is_not_speech_reaches_no_engine(kind: str) -> None:
    """Silence, noise and tones are settled piece by piece, and nobody is asked about them."""
    noise = np.random.default_rng(1).normal(0, 3000, 240_000).astype("<i2").tobytes()
    pcm = {"silence": silence(15), "noise": noise, "tone": tone(15)}[kind]
    provider = Numbering()
    async with opened(provider):
        events = await collect(provider, ScriptedAudio(chunks(pcm)))
    assert provider.utterances == []
    assert len(finals(events)) >= 3
    assert_in_order(events, 15)


async def test_an_utterance_that_says_nothing_is_settled() -> None:
    """An empty text settles its audio without a word."""

    class Deaf(BatchProvider):
        async def recognize(self, pcm: bytes, params: StreamParams) -> Recognized:
            return Recognized(text=" ", words=(Word(text="x", start=0, end=1),))

    provider = Deaf()
    async with opened(provider):
        events = await collect(provider, ScriptedAudio(chunks(reading()[: 6 * SECOND])))
    assert spoken(events) == []
    assert all(not final.words for final in finals(events))
    assert_in_order(events, 6)


async def test_little_audio() -> None:
    """No audio gives no events, and a single sample is settled."""
    provider = Numbering()
    async with opened(provider):
        assert await collect(provider, ScriptedAudio([])) == []
        assert_in_order(await collect(provider, ScriptedAudio([b"\0\0"])), 1 / 16_000)


async def test_finalize_settles_what_was_heard_and_the_stream_goes_on() -> None:
    """All audio before a finalize is final before Finalized comes; speech goes on after it."""
    provider = Numbering()
    heard = reading()[: 3 * SECOND + 250]
    async with opened(provider):
        items = [
            *chunks(heard),
            Control.FINALIZE,
            *chunks(reading()[3 * SECOND + 250 : 8 * SECOND]),
        ]
        events = await collect(provider, ScriptedAudio(items))
    assert events.count(Finalized()) == 1
    before = finals(events[: events.index(Finalized())])
    assert before[-1].end == len(heard) / SECOND
    assert before[-1].endpoint
    assert_in_order(events, 8)


async def test_every_finalize_is_answered() -> None:
    """Also before any audio, in silence, and twice in a row."""
    twice = [Control.FINALIZE, Control.FINALIZE]
    provider = Numbering()
    async with opened(provider):
        events = await collect(provider, ScriptedAudio([*twice, silence(1), *twice]))
    kinds = [type(event) for event in events]
    assert kinds == [Finalized, Finalized, Transcript, Finalized, Finalized]


async def test_a_short_utterance_is_padded() -> None:
    """No engine gets less than half a second."""
    provider = Numbering()
    loud = next(at for at in range(0, SECOND * 3, 1024) if _loud(reading()[at : at + 1024]))
    async with opened(provider):
        await collect(provider, ScriptedAudio(chunks(reading()[loud : loud + SECOND // 3], 1024)))
    assert provider.utterances
    assert all(len(pcm) >= SECOND // 2 for pcm in provider.utterances)


def _loud(pcm: bytes) -> bool:
    return int(np.abs(np.frombuffer(pcm, "<i2").astype(int)).max()) > 3000


async def test_long_speech_is_cut() -> None:
    """Speech without a pause is cut before it is longer than the engine takes."""
    provider = Numbering(max_utterance=3, endpointing_ms=False, eager=False)
    async with opened(provider):
        events = await collect(provider, ScriptedAudio(chunks(reading())))
    assert max(map(len, provider.utterances)) <= 3 * SECOND
    assert_in_order(events, len(reading()) / SECOND)


async def test_a_stream_may_ask_for_its_own_endpoint() -> None:
    """A shorter pause gives more endpoints, and none closes when that is asked for."""
    pcm = chunks(reading()[: 13 * SECOND])
    provider = Numbering(eager=False)
    counts = []
    async with opened(provider):
        for pause in (False, 2000, 500, 100):
            params = StreamParams(endpointing_ms=pause)
            events = await collect(provider, ScriptedAudio(pcm), params)
            counts.append(sum(final.endpoint for final in finals(events)))
    assert counts == sorted(counts)
    assert counts[0] == 1  # the end of the audio
    assert counts[2] > counts[1]


async def test_interims_show_the_open_utterance() -> None:
    """With an interval, the open utterance is recognised again and again; on request only."""
    provider = Numbering(interim_interval=0.5)
    audio = ScriptedAudio()
    events: list[ProviderEvent] = []

    async def speak() -> None:
        for chunk in chunks(reading()[: 3 * SECOND]):
            await audio.put(chunk)
            await asyncio.sleep(0.01)
        await audio.end()

    async with opened(provider):
        speaking = asyncio.create_task(speak())
        events = await collect(provider, audio)
        await speaking
        assert len(interims(events)) >= 2
        assert_in_order(events, 3)
        events = await collect(
            provider, ScriptedAudio(chunks(reading()[: 3 * SECOND])), FINALS_ONLY
        )
        assert not interims(events)


async def test_finals_come_in_order() -> None:
    """An utterance that takes longer than the next one still comes first."""

    async def first_is_slow(number: int) -> None:
        await asyncio.sleep(0.5 if number == 1 else 0)

    provider = Numbering(first_is_slow, eager=False)
    async with opened(provider):
        events = await collect(provider, ScriptedAudio(chunks(reading()[: 10 * SECOND])))
    assert provider.most_running > 1
    numbers = [int(final.text.split()[1]) for final in spoken(events)]
    assert numbers == sorted(numbers)
    assert_in_order(events, 10)


async def test_concurrency_is_bounded() -> None:
    """No more calls run at once than the engine takes, over all streams."""

    async def slow(_: int) -> None:
        await asyncio.sleep(0.05)

    provider = Numbering(slow, concurrency=2)
    pcm = chunks(reading()[: 10 * SECOND])
    async with opened(provider):
        streams = [collect(provider, ScriptedAudio(pcm)) for _ in range(3)]
        for events in await asyncio.gather(*streams):
            assert_in_order(events, 10)
    assert provider.most_running == 2


async def test_an_overloaded_engine_refuses_streams() -> None:
    """While finished utterances wait too long, another provider shall take the next stream."""
    go, waiting = asyncio.Event(), asyncio.Event()

    async def wait(_: int) -> None:
        waiting.set()
        await go.wait()

    provider = Numbering(wait, concurrency=1, max_wait=0.1, eager=False)
    async with opened(provider):
        listening = asyncio.create_task(
            collect(provider, ScriptedAudio(chunks(reading()[: 10 * SECOND])))
        )
        await waiting.wait()
        await asyncio.sleep(0.3)
        with pytest.raises(ProviderQuota, match="busy") as refused:
            await collect(provider, ScriptedAudio([silence(0.1)]))
        assert refused.value.retry_after
        go.set()
        assert_in_order(await listening, 10)


async def gather(
    provider: BatchProvider, audio: ScriptedAudio, events: list[ProviderEvent]
) -> None:
    """Add every event to ``events``, so that those before an error are seen."""
    async with aclosing(provider.transcribe(audio, FINALS_ONLY)) as stream:
        async for event in stream:
            events.append(event)


async def test_a_failure_ends_the_stream_after_the_finals_before_it() -> None:
    """What was recognised before is handed out; then the engine's own error."""

    async def third_fails(number: int) -> None:
        if number == 3:
            raise ProviderQuota("too much", retry_after=2)

    provider = Numbering(third_fails, eager=False)
    events: list[ProviderEvent] = []
    async with opened(provider):
        with pytest.raises(ProviderQuota, match="too much"):
            await gather(provider, ScriptedAudio(chunks(reading())), events)
    assert [final.text for final in spoken(events)] == ["utterance 1", "utterance 2"]


async def test_an_engine_that_hangs_is_cut_off() -> None:
    """A call that takes too long is cancelled and ends the stream."""
    provider = Numbering(lambda _: asyncio.sleep(60), timeout=0.3)
    async with opened(provider):
        with pytest.raises(ProviderTimeout, match=r"0\.3 s"):
            await collect(provider, ScriptedAudio(chunks(reading()[: 3 * SECOND])))
    assert provider.running == 0


async def test_a_slow_engine_shows_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """While an utterance is recognised the host sees that something goes on, and no words."""
    monkeypatch.setattr("sttgate.voice.stream._SIGN_OF_LIFE_SECONDS", 0.1)
    provider = Numbering(lambda _: asyncio.sleep(0.5))
    async with opened(provider):
        events = await collect(provider, ScriptedAudio(chunks(reading()[: 3 * SECOND])))
    assert len(interims(events)) >= 2
    assert {interim.text for interim in interims(events)} == {""}
    assert_in_order(events, 3)


async def test_cancelling_a_stream_cancels_its_calls() -> None:
    """A stream that is given up leaves no call behind, and the next one is not disturbed."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(number: int) -> None:
        began.set()
        try:
            await asyncio.sleep(60 if number == 1 else 0)
        finally:
            ended.set()

    provider = Numbering(hang, concurrency=1)
    pcm = chunks(reading()[: 3 * SECOND])
    async with opened(provider):
        listening = asyncio.create_task(collect(provider, ScriptedAudio(pcm)))
        await began.wait()
        listening.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await listening
            await ended.wait()
        assert_in_order(await collect(provider, ScriptedAudio(pcm)), 3)


async def test_closing_ends_what_runs() -> None:
    """A stream that still waits for an utterance when the provider closes ends with an error."""
    began = asyncio.Event()

    async def hang(_: int) -> None:
        began.set()
        await asyncio.sleep(60)

    provider = Numbering(hang)
    await provider.open()
    listening = asyncio.create_task(
        collect(provider, ScriptedAudio(chunks(reading()[: 3 * SECOND])))
    )
    await began.wait()
    await provider.close()
    with pytest.raises(ProviderUnavailable, match="closed"):
        await listening


async def test_a_slow_consumer_slows_the_reading() -> None:
    """Audio is read no further ahead than the bound while nobody takes the events."""
    provider = Numbering(max_utterance=5)
    audio = ScriptedAudio(chunks(reading() * 2))
    total = audio.unread
    async with opened(provider), aclosing(provider.transcribe(audio, FINALS_ONLY)) as stream:
        events = [await anext(stream)]
        read = []
        while len(read) < 5 or read[-1] != read[-5]:
            await asyncio.sleep(0.2)
            read.append((total - audio.unread) / 10)
        assert 10 < read[-1] < 25
        async for event in stream:
            events.append(event)
    assert_in_order(events, 2 * len(reading()) / SECOND)


async def test_a_microphone_that_stops_settles_what_it_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When audio stops coming in mid-speech the words are final before the host loses patience."""
    monkeypatch.setattr("sttgate.voice.stream._IDLE_SECONDS", 0.3)
    audio = ScriptedAudio()
    for chunk in chunks(reading()[: 3 * SECOND]):
        await audio.put(chunk)
    provider = Numbering()
    async with (
        opened(provider),
        asyncio.timeout(10),
        aclosing(provider.transcribe(audio, FINALS_ONLY)) as stream,
    ):
        async for event in stream:
            if isinstance(event, Transcript) and event.is_final and event.end == 3:
                break


async def test_wrong_use_is_explained() -> None:
    """Another sample rate and a provider that is not open are errors that say so."""
    provider = Numbering()
    with pytest.raises(ProviderUnavailable, match="not open"):
        await collect(provider, ScriptedAudio([]))
    async with opened(provider):
        with pytest.raises(ProviderRejected, match="8000"):
            await collect(provider, ScriptedAudio([]), StreamParams(sample_rate=8000))


def test_without_the_detector_it_is_not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is named by the command that installs it."""
    monkeypatch.setattr("sttgate.voice.model.find_spec", lambda _: None)
    with pytest.raises(NotConfigured, match=r"pip install 'sttgate\[vad\]'"):
        Numbering()


def test_it_is_a_provider_like_any_other() -> None:
    """Its capabilities say what the base class does; a specification takes it as it is."""
    spec = ProviderSpec(name="numbering", factory=lambda _: Numbering(), options=Options)
    capabilities = spec.factory(spec.options()).capabilities
    assert isinstance(capabilities, Capabilities)
    assert (capabilities.word_times, capabilities.endpointing) == ("estimated", True)
    assert capabilities.sample_rates == (16_000,)
    assert issubclass(ProviderTimeout, ProviderError)
