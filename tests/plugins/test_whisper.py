"""Whisper in this process, where its packages and a small model are installed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sttgate import (
    Control,
    Finalized,
    NotConfigured,
    ProviderUnavailable,
    StreamParams,
    Transcript,
)
from sttgate.testing import ScriptedAudio, collect, silence, tone
from sttgate_whisper import WhisperOptions, WhisperProvider, sttgate_providers
from tests.speech import (
    SECOND,
    SENTENCE,
    assert_in_order,
    chunks,
    finals,
    interims,
    sentence,
    spoken,
    text,
    whisper_model,
    word_errors,
)


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[WhisperProvider]:
    options = {"model": str(whisper_model()), "compute_type": "int8", "workers": 2} | options
    provider = WhisperProvider(WhisperOptions(**options))
    await provider.open()
    try:
        yield provider
    finally:
        await provider.close()


async def test_it_recognises_a_reading() -> None:
    """Speech is recognised well, with times and confidence for each word."""
    async with opened() as provider:
        assert provider.capabilities.languages == ("en",)
        events = await collect(provider, ScriptedAudio(chunks(sentence())))
    assert word_errors(SENTENCE, text(events)) < 0.15
    assert_in_order(events, len(sentence()) / SECOND)
    for final in spoken(events):
        assert " ".join(word.text for word in final.words) == final.text
        assert all(word.confidence is not None for word in final.words)
        assert final.language == "en"
        assert final.confidence
        assert final.confidence > 0.35


@pytest.mark.parametrize("pcm", [silence(6), tone(6)], ids=["silence", "tone"])
async def test_what_is_not_speech_gives_no_text(pcm: bytes) -> None:
    """Silence and tones are settled without a word."""
    async with opened() as provider:
        events = await collect(provider, ScriptedAudio(chunks(pcm)))
    assert text(events) == ""
    assert_in_order(events, 6)


async def test_the_model_itself_makes_nothing_up() -> None:
    """Also asked about silence and a tone, which the voice detector would have kept from it."""
    async with opened(compute_type="float32") as provider:
        for pcm in (silence(2), tone(2)):
            assert (await provider.recognize(pcm, StreamParams())).text == ""


async def test_interims_can_be_had_or_not() -> None:
    """The open utterance is shown while it grows, unless that is switched off."""
    audio = ScriptedAudio()
    for chunk in chunks(sentence()[: 2 * SECOND]):
        await audio.put(chunk)
    async with opened(interim_interval=0.5) as provider:
        assert provider.capabilities.interim_results
        async with aclosing(provider.transcribe(audio, StreamParams())) as stream:
            async for event in stream:
                if isinstance(event, Transcript) and event.text:
                    assert not event.is_final  # no audio comes any more, but nothing has ended
                    break
    async with opened(interim_interval=None) as provider:
        assert not provider.capabilities.interim_results
        events = await collect(provider, ScriptedAudio(chunks(sentence()[: 5 * SECOND])))
        assert not any(interim.text for interim in interims(events))


async def test_finalize_settles_what_was_heard() -> None:
    """All audio before a finalize is final before Finalized comes."""
    pcm = sentence()
    items = [*chunks(pcm[: 3 * SECOND]), Control.FINALIZE, *chunks(pcm[3 * SECOND : 5 * SECOND])]
    async with opened() as provider:
        events = await collect(provider, ScriptedAudio(items))
    before = events[: events.index(Finalized())]
    assert finals(before)[-1].end == 3
    assert "best of times" in text(before).lower()
    assert_in_order(events, 5)


async def test_the_event_loop_stays_free() -> None:
    """While the model works, everything else goes on."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    async with opened() as provider:
        watching = asyncio.create_task(watch())
        await provider.recognize(sentence(), StreamParams(keyterms=("epoch",)))
        watching.cancel()
        await asyncio.wait({watching})
    assert longest < 0.4


async def test_cancelling_a_stream_frees_its_threads() -> None:
    """A stream that is given up soon leaves the model to others."""
    async with opened(workers=1) as provider:
        listening = asyncio.create_task(collect(provider, ScriptedAudio(chunks(sentence()))))
        await asyncio.sleep(0.3)
        listening.cancel()
        await asyncio.wait({listening}, timeout=1)
        assert listening.cancelled()
        said = await provider.recognize(sentence()[: 3 * SECOND], StreamParams())
    assert "best of times" in said.text.lower()


async def test_a_model_that_is_not_there_is_explained(tmp_path: Path) -> None:
    """A folder without a model ends in one sentence, and leaves no thread."""
    provider = WhisperProvider(WhisperOptions(model=str(tmp_path), download=False))
    with pytest.raises(ProviderUnavailable, match="cannot be loaded"):
        await provider.open()
    await provider.close()
    with pytest.raises(ProviderUnavailable, match="not open"):
        await provider.recognize(tone(1), StreamParams())


def test_without_its_packages_it_is_not_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is named by the command that installs it."""
    monkeypatch.setattr("sttgate_whisper.provider.find_spec", lambda _: None)
    with pytest.raises(NotConfigured, match=r"pip install 'sttgate\[whisper\]'"):
        WhisperProvider(WhisperOptions())


def test_it_is_offered() -> None:
    """The hook offers one provider with options and a summary."""
    (spec,) = sttgate_providers()
    assert (spec.name, spec.factory, spec.options) == ("whisper", WhisperProvider, WhisperOptions)
    assert spec.summary
