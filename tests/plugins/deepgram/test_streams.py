"""What the Deepgram provider makes of a stream, through the real SDK, against the fake server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from itertools import pairwise

import pytest

from sttgate import (
    Control,
    Finalized,
    ProviderEvent,
    ProviderTimeout,
    SpeechStarted,
    StreamParams,
    Transcript,
    UtteranceEnd,
)
from sttgate.testing import ScriptedAudio, collect, silence
from tests.fakes.deepgram_server import FakeDeepgram, Faults
from tests.fakes.deepgram_speech import SENTENCES
from tests.plugins.deepgram.helpers import (
    PATIENCE,
    cancelled,
    dump,
    finals,
    hear,
    opened,
    seconds,
    text,
    until,
)


async def test_a_conversation_becomes_events(server: FakeDeepgram) -> None:
    """Finals settle all audio in order with every word; pauses and beginnings of speech are told."""
    events = await hear(server, seconds(20))
    settled = finals(events)
    assert text(events) == " ".join(SENTENCES)
    assert settled[0].start == 0
    assert settled[-1].end == 20
    assert all(one.end == other.start for one, other in pairwise(settled))
    words = [word for final in settled for word in final.words]
    assert [word.text for word in words] == " ".join(SENTENCES).split()
    assert [(word.start, word.end) for word in words] == [(w.start, w.end) for w in server.words]
    assert words[0].confidence == 0.98
    assert [final.text for final in settled if final.endpoint and final.text] == list(SENTENCES)
    ends = [words[-1].end for words in (final.words for final in settled) if words]
    assert [event.at for event in events if isinstance(event, UtteranceEnd)] == ends
    starts = [final.words[0].start for final in settled if final.words]
    assert [event.at for event in events if isinstance(event, SpeechStarted)] == starts
    interims = [e for e in events if isinstance(e, Transcript) and not e.is_final]
    assert len(interims) > 10
    assert settled[0].text.startswith(interims[1].text)


async def test_silence_is_settled(server: FakeDeepgram) -> None:
    """Finals without text cover audio in which nobody spoke."""
    server.words.clear()
    settled = finals(await hear(server, seconds(12)))
    assert [(final.start, final.end) for final in settled] == [(0, 5), (5, 10), (10, 12)]
    assert {(final.text, final.confidence, final.words) for final in settled} == {("", None, ())}


async def test_speakers_and_languages_are_told(server: FakeDeepgram) -> None:
    """Diarization labels words and segments, and `multi` names the language heard."""
    events = await hear(server, seconds(9), StreamParams(diarize=True, language="auto"))
    first, second = [final for final in finals(events) if final.text]
    assert (first.speaker, second.speaker) == ("0", "1")
    assert {word.speaker for word in first.words} == {"0"}
    assert first.language == "en"


async def test_plain_words_without_formatting(server: FakeDeepgram) -> None:
    """Without punctuated words the bare ones are used."""
    events = await hear(server, seconds(5), smart_format=False)
    assert finals(events)[0].words[0].text == "good"


async def test_an_utterance_end_without_a_word_is_ignored(server: FakeDeepgram) -> None:
    """Deepgram's last_word_end of -1 is no time."""
    line = '{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": -1}'
    server.faults.edit = lambda message: (
        [line] if message["type"] == "UtteranceEnd" else [dump(message)]
    )
    assert not [e for e in await hear(server, seconds(8)) if isinstance(e, UtteranceEnd)]


async def test_it_connects_at_the_first_audio(server: FakeDeepgram) -> None:
    """Nothing is connected before there is audio; finalizing nothing is done at once."""
    async with opened(server.url) as provider:
        assert await collect(provider, ScriptedAudio([Control.FINALIZE])) == [Finalized()]
    assert not server.connections


async def test_keepalive_bridges_silence() -> None:
    """A pause longer than Deepgram's time-out is survived by KeepAlive as text, not sent in speech."""
    async with (
        FakeDeepgram(net_timeout=1.0) as server,
        opened(server.url, keepalive_interval=0.2) as provider,
    ):
        audio = ScriptedAudio()
        heard = asyncio.create_task(collect(provider, audio))
        for chunk in [*seconds(4), b""]:
            await audio.put(chunk)
        await until(lambda: bool(server.connections) and server.connections[0].audio == 128_000)
        assert server.connections[0].texts == []
        await asyncio.sleep(2)
        for chunk in seconds(4):
            await audio.put(chunk)
        await audio.end()
        assert text(await heard) == " ".join(SENTENCES[:2])
    (connection,) = server.connections
    assert connection.texts[:5] == ['{"type": "KeepAlive"}'] * 5
    assert connection.texts[-1] == '{"type": "CloseStream"}'
    assert 0 not in connection.frames


async def test_finalize_settles_what_was_heard(server: FakeDeepgram) -> None:
    """Finalize gives a final up to here, then Finalized, and the stream goes on."""
    audio = [*seconds(2), Control.FINALIZE, *seconds(2)]
    events = await hear(server, audio, finalize_timeout=30)
    done = events.index(Finalized())
    assert finals(events[:done])[-1].end == 2
    assert finals(events)[-1].end == 4
    assert text(events) == SENTENCES[0]


async def test_finalize_without_an_answer_ends_by_itself(server: FakeDeepgram) -> None:
    """Deepgram does not promise an answer: each Finalize is over after a while, audio or none."""
    async with opened(server.url, finalize_timeout=0.3) as provider:
        audio = ScriptedAudio()
        stream = provider.transcribe(audio, StreamParams())
        for item in [*seconds(0.5), Control.FINALIZE, Control.FINALIZE]:
            await audio.put(item)
        begun = time.monotonic()
        events = [await anext(stream) for _ in range(4)]
        assert time.monotonic() - begun >= 0.3
        assert [type(event) for event in events] == [
            SpeechStarted,
            Transcript,
            Finalized,
            Finalized,
        ]
        await audio.end()
        await stream.aclose()


async def test_finalize_is_settled_by_the_end(server: FakeDeepgram) -> None:
    """An open Finalize is answered when the stream ends."""
    audio = [*seconds(1), Control.FINALIZE, Control.FINALIZE]
    events = await hear(server, audio, finalize_timeout=30)
    assert events.count(Finalized()) == 2


async def test_the_server_may_be_slow_to_hang_up(server: FakeDeepgram) -> None:
    """Once its last message is there, nobody waits for long for the server's Close."""
    server.faults.keep_open = True
    begun = time.monotonic()
    assert text(await hear(server, seconds(4), close_timeout=60)) == SENTENCES[0]
    assert time.monotonic() - begun < PATIENCE
    await until(lambda: server.open == 0)


async def test_waiting_for_the_end_costs_nothing(server: FakeDeepgram) -> None:
    """Nothing is sent after the end, and nobody keeps asking whether there is something to send."""
    server.faults.mute = True
    used = time.process_time()
    with pytest.raises(ProviderTimeout):
        await hear(server, seconds(1), keepalive_interval=0.05, close_timeout=1.0)
    assert time.process_time() - used < 0.5
    assert server.connections[0].texts[-1] == '{"type": "CloseStream"}'


async def test_no_answer_to_the_end_is_a_timeout(server: FakeDeepgram) -> None:
    """Audio that is not settled some time after its end is an error, for words are missing."""
    server.faults.mute = True
    with pytest.raises(ProviderTimeout, match=r"more than 0\.3 s"):
        await hear(server, seconds(1), close_timeout=0.3)


async def test_an_end_without_farewell_is_no_error_when_all_is_settled(
    server: FakeDeepgram,
) -> None:
    """A server that breaks off after the last final has done its work."""
    server.faults.edit = lambda message: [] if message["type"] == "Metadata" else [dump(message)]
    server.faults.keep_open = True
    assert text(await hear(server, seconds(4), close_timeout=0.3)) == SENTENCES[0]


async def test_a_slow_caller_slows_the_stream(server: FakeDeepgram) -> None:
    """While nobody asks for events no audio is taken, and KeepAlive goes on."""
    async with opened(server.url, keepalive_interval=0.1) as provider:
        audio = ScriptedAudio([*seconds(20)])
        stream = provider.transcribe(audio, StreamParams())
        events = [await anext(stream)]
        await asyncio.sleep(0.5)
        assert audio.unread > 100
        assert '{"type": "KeepAlive"}' in server.connections[0].texts
        events += [event async for event in stream]
        assert text(events) == " ".join(SENTENCES)


async def test_a_deaf_server_slows_the_stream(server: FakeDeepgram) -> None:
    """When the server stops reading, audio stays with the caller and not in a buffer of ours."""
    server.faults.deaf_after = 1.0
    async with opened(server.url) as provider:
        audio = ScriptedAudio([silence(0.3)] * 4_000)
        task = asyncio.create_task(collect(provider, audio))
        left = -1
        while left != audio.unread:
            left = audio.unread
            await asyncio.sleep(0.5)
        assert left > 1_000
        await cancelled(task)


@pytest.mark.parametrize(
    "state", ["idle", "connecting", "streaming", "deaf", "finalizing", "closing"]
)
async def test_cancelling_frees_everything_at_once(server: FakeDeepgram, state: str) -> None:
    """Whatever the server does, cancelling the task that iterates closes the connection."""
    server.faults = Faults(
        hang=state == "connecting", deaf_after=1.0 if state == "deaf" else 0, mute=True
    )
    audio = ScriptedAudio()
    chunks = {"idle": 0, "deaf": 3_000}.get(state, 20)
    for _ in range(chunks):
        await audio.put(silence(0.3))
    if state == "finalizing":
        await audio.put(Control.FINALIZE)
    if state == "closing":
        await audio.end()
    async with opened(server.url) as provider:
        tasks = asyncio.all_tasks()
        task = asyncio.create_task(collect(provider, audio))
        if state != "idle":
            await until(lambda: server.open == 1)
        await asyncio.sleep(0.5)
        assert not task.done()
        await cancelled(task)
        server.wake()
        await until(lambda: server.open == 0)
        await until(lambda: asyncio.all_tasks() <= tasks | {asyncio.current_task()})


@pytest.mark.parametrize("deaf", [False, True])
async def test_closing_the_generator_frees_everything(server: FakeDeepgram, deaf: bool) -> None:
    """A caller that stops in the middle and closes the generator leaves nothing behind."""
    server.faults.deaf_after = 0.6 if deaf else 0
    async with opened(server.url) as provider:
        audio = ScriptedAudio()
        await audio.put(silence(0.3))
        await audio.put(silence(0.3))
        stream: AsyncGenerator[ProviderEvent, None] = provider.transcribe(audio, StreamParams())
        await anext(stream)
        async with asyncio.timeout(PATIENCE):
            await stream.aclose()
        server.wake()
        await until(lambda: server.open == 0)


async def test_an_error_of_the_audio_comes_out_as_it_is(server: FakeDeepgram) -> None:
    """What the host's audio raises is not taken for a failure of Deepgram."""

    class Broken(ScriptedAudio):
        async def receive(self) -> bytes | Control | None:
            if self.unread == 0:
                raise LookupError("spool")
            return await super().receive()

    audio = Broken()
    await audio.put(silence(0.1))
    async with opened(server.url) as provider:
        with pytest.raises(LookupError):
            await collect(provider, audio)
    await until(lambda: server.open == 0)
