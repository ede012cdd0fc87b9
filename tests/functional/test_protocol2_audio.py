"""Protocol 2: audio of every format, and what of it is kept."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from aiohttp import WSMsgType

from sttgate.testing import silence, tone
from tests.functional.native import (
    START,
    STOP,
    Message,
    Serve,
    Server,
    send,
    start,
    stop,
    talk,
    until,
)
from tests.gateways import finals, receive_until

LOUD = 8191  # the peak of `tone`


def interleave(*channels: bytes) -> bytes:
    """Return one stream of the given mono channels."""
    return np.stack([np.frombuffer(c, "<i2") for c in channels], axis=1).tobytes()


def scale(pcm: bytes, factor: float) -> bytes:
    return (np.frombuffer(pcm, "<i2") * factor).astype("<i2").tobytes()


def measured(messages: list[Message]) -> dict[int, tuple[int, int, int]]:
    """Return what the meter heard by channel: peak, pitch in Hz, sample rate in Hz."""
    heard = {}
    for message in messages:
        if message["event"] == "transcript":
            peak, pitch, rate = map(int, message["text"].split())
            heard[message["channel"]] = (peak, pitch, rate)
    return heard


async def recorded(server: Server, messages: list[Message]) -> tuple[int, int, bytes]:
    """Return channels, sample rate and PCM of the recording."""
    async with server.client.get(messages[-1]["links"]["audio"]) as response:
        body = await response.read()
    with wave.open(io.BytesIO(body)) as file:
        return file.getnchannels(), file.getframerate(), file.readframes(file.getnframes())


async def test_multichannel_hears_every_channel_by_itself(serve: Serve) -> None:
    """With multichannel, each channel is recognised alone, and events say which one it is."""
    server = await serve("meter")
    left, right = tone(1.0, hertz=440), scale(tone(1.0, hertz=880), 0.25)
    pcm = interleave(left, right)
    messages = await talk(server, pcm, channels=2, multichannel=True)
    heard = measured(messages)
    assert heard[0] == (LOUD, pytest.approx(440, abs=2), 16_000)
    assert heard[1] == (pytest.approx(LOUD // 4, abs=2), pytest.approx(880, abs=2), 16_000)
    ends = [m for m in messages if m["event"] == "utterance_end"]
    assert sorted((m["channel"], m["end"]) for m in ends) == [(0, 1.0), (1, 1.0)]
    assert len({m["utterance_id"] for m in ends}) == 2
    assert messages[-1]["duration_s"] == 1.0
    assert await recorded(server, messages) == (2, 16_000, pcm)


async def test_every_one_of_eight_channels_is_selected(serve: Serve) -> None:
    """Eight channels are eight recognitions, none of them mixed up."""
    server = await serve("meter")
    pitches = [300 + 100 * channel for channel in range(8)]
    pcm = interleave(*(tone(0.5, hertz=pitch) for pitch in pitches))
    heard = measured(await talk(server, pcm, channels=8, multichannel=True))
    assert [heard[c][1] for c in range(8)] == [pytest.approx(p, abs=4) for p in pitches]


async def test_channels_are_mixed_otherwise(serve: Serve) -> None:
    """Without multichannel, the channels are one recognition, of their mean."""
    server = await serve("meter")
    pcm = interleave(tone(1.0), silence(1.0))
    messages = await talk(server, pcm, channels=2)
    assert measured(messages) == {
        0: (pytest.approx(LOUD / 2, abs=2), pytest.approx(440, abs=2), 16_000)
    }
    assert await recorded(server, messages) == (2, 16_000, pcm)
    opposite = interleave(tone(1.0), scale(tone(1.0), -1))
    assert measured(await talk(server, opposite, channels=2))[0][0] <= 1


async def test_multichannel_of_one_channel(serve: Serve) -> None:
    """Multichannel with one channel is just that channel."""
    server = await serve("meter")
    messages = await talk(server, tone(0.5), multichannel=True)
    assert measured(messages)[0][0] == LOUD


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 32_000, 44_100, 48_000])
async def test_audio_is_resampled_for_the_provider(serve: Serve, rate: int) -> None:
    """A provider that takes 16 kHz only hears pitch, level and duration as they were."""
    server = await serve("meter")
    pcm = tone(2.0, sample_rate=rate)
    messages = await talk(server, pcm, sample_rate=rate)
    peak, pitch, heard_rate = measured(messages)[0]
    assert heard_rate == 16_000
    assert pitch == pytest.approx(440, abs=2)
    assert peak == pytest.approx(LOUD, rel=0.05)
    (final,) = [m for m in messages if m["event"] == "transcript"]
    assert (final["start"], final["end"]) == (0.0, pytest.approx(2.0, abs=0.002))
    assert messages[-1]["duration_s"] == pytest.approx(2.0, abs=0.001)
    assert await recorded(server, messages) == (1, rate, pcm)


@pytest.mark.parametrize(
    ("rate", "taken"),
    [(8_000, 8_000), (16_000, 16_000), (22_050, 24_000), (24_000, 24_000), (48_000, 24_000)],
)
async def test_the_best_rate_of_the_provider_is_taken(serve: Serve, rate: int, taken: int) -> None:
    """The provider hears the session's own rate if it can, else the next one up, else its highest."""
    server = await serve("meter", rates=[8_000, 16_000, 24_000])
    messages = await talk(server, tone(0.5, sample_rate=rate), sample_rate=rate)
    _, pitch, heard_rate = measured(messages)[0]
    assert (heard_rate, pitch) == (taken, pytest.approx(440, abs=4))


async def test_stereo_is_resampled_channel_by_channel(serve: Serve) -> None:
    """Channel and rate are converted together."""
    server = await serve("meter")
    pcm = interleave(*(tone(1.0, 44_100, hertz) for hertz in (500, 700)))
    messages = await talk(server, pcm, channels=2, multichannel=True, sample_rate=44_100)
    heard = measured(messages)
    assert [heard[c][1:] for c in (0, 1)] == [
        (pytest.approx(500, abs=2), 16_000),
        (pytest.approx(700, abs=2), 16_000),
    ]
    assert await recorded(server, messages) == (2, 44_100, pcm)


async def test_samples_may_be_torn_between_messages(serve: Serve) -> None:
    """Messages need not end on a sample; a piece left at the end is dropped with a warning."""
    server = await serve()
    pcm = tone(0.5)
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await start(socket)
        for at in range(0, len(pcm), 333):
            await socket.send_bytes(pcm[at : at + 333])
        await socket.send_bytes(b"\x01")
        messages = await stop(socket)
    (warning,) = [m for m in messages if m["event"] == "warning"]
    assert warning["code"] == "audio_misaligned"
    assert messages[-1]["duration_s"] == 0.5
    assert await recorded(server, messages) == (1, 16_000, pcm)


async def test_a_minute_in_one_go(serve: Serve) -> None:
    """Audio far faster than real time, and `stop` right behind it, is heard to the end."""
    sentences = [f"this is sentence {number}" for number in range(30)]
    server = await serve(script=sentences, words_per_second=4, pause=0.9)
    pcm = tone(60.0)
    async with server.connect("?protocol=2") as socket:
        await send(socket, "start")
        await socket.send_bytes(pcm)
        await send(socket, "stop")
        messages = await receive_until(socket, "stopped")
    assert finals(messages) == sentences
    assert messages[-1]["full_transcription"] == " ".join(sentences)
    assert messages[-1]["duration_s"] == 60.0
    assert await recorded(server, messages) == (1, 16_000, pcm)
    ends = [m["end"] for m in messages if m["event"] == "transcript" and m["is_final"]]
    assert ends == sorted(ends)
    assert ends[-1] <= 60.0


async def test_late_reader_gets_every_final(serve: Serve) -> None:
    """A client that is far behind when the session is over still gets all finals and `stopped`."""
    server = await serve("torrent")
    wire = await server.wire("?protocol=2", receive_buffer=4096)
    wire.send(WSMsgType.TEXT, START.encode())
    wire.send(WSMsgType.BINARY, silence(90.0))
    wire.send(WSMsgType.TEXT, STOP.encode())
    await until(lambda: bool(server.gateway.sessions))
    (session,) = server.gateway.sessions.values()
    await until(lambda: session.state == "completed")
    messages: list[Message] = []
    while not messages or messages[-1]["event"] != "stopped":
        messages.append(json.loads((await wire.receive())[1]))
    assert finals(messages) == ["so"] * len(finals(messages))
    assert messages[-1]["full_transcription"] == " ".join(finals(messages))
    numbers = [message["seq"] for message in messages if "seq" in message]
    assert numbers == sorted(set(numbers))
    assert messages[-1]["words"] == len(finals(messages)) == 300
    await server.settled()
    wire.vanish()


# --- what is kept -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("store", "transcript", "audio"),
    [
        (True, True, True),
        (False, False, False),
        ({"transcript": True, "audio": False}, True, False),
        ({"transcript": False, "audio": True}, False, True),
        ({"audio": False}, True, False),
        ({}, True, True),
    ],
)
async def test_store(
    serve: Serve, tmp_path: Path, store: object, transcript: bool, audio: bool
) -> None:
    """Only what `store` allows is kept, and `stopped` and its links say so."""
    server = await serve()
    messages = await talk(server, tone(0.3), store=store)
    stopped = messages[-1]
    session_id = stopped["session_id"]
    assert stopped["full_transcription"] == "heard 0.3 seconds"
    assert stopped["stored"] == {"transcript": transcript, "audio": audio}
    assert (stopped["links"]["session"] is not None) is transcript
    assert (stopped["links"]["audio"] is not None) is audio
    await server.settled()
    assert (await server.stored(session_id) is not None) is transcript
    assert await server.recording(session_id) == (tone(0.3) if audio else None)
    assert list((tmp_path / "data" / "spool").iterdir()) == []


async def test_stop_with_discard_keeps_nothing(serve: Serve, tmp_path: Path) -> None:
    """`discard` deletes what was stored while the session ran, and keeps nothing on disk."""
    server = await serve(script=["a secret"], words_per_second=10)
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = (await start(socket))[-1]["session_id"]
        await socket.send_bytes(tone(1.0))
        await receive_until(socket, "utterance_end")
        messages = await stop(socket, discard=True)
    stopped = messages[-1]
    assert stopped["full_transcription"] == "a secret"
    assert stopped["stored"] == {"transcript": False, "audio": False}
    assert stopped["links"] == {"session": None, "audio": None}
    await server.settled()
    assert await server.stored(session_id) is None
    assert await server.recording(session_id) is None
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in left if session_id in str(path)]


@pytest.mark.parametrize("discard", [False, "yes", 1, None])
async def test_discard_must_be_true(serve: Serve, discard: object) -> None:
    """Nothing but true discards."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await start(socket)
        await socket.send_bytes(tone(0.2))
        messages = await stop(socket, discard=discard)
    assert messages[-1]["stored"] == {"transcript": True, "audio": True}


async def test_what_start_says_is_stored(serve: Serve) -> None:
    """Title, reference, language, model and metadata are stored with the session."""
    server = await serve()
    messages = await talk(
        server,
        tone(0.2),
        title="Ein Gespräch",
        client_ref="ref-7",
        language="de",
        model="m-1",
        metadata={"room": 7, "open": True},
    )
    stored = await server.stored(messages[-1]["session_id"])
    assert stored is not None
    assert (stored["title"], stored["client_ref"]) == ("Ein Gespräch", "ref-7")
    assert (stored["language"], stored["model"]) == ("de", "m-1")
    assert stored["metadata"] == {"room": 7, "open": True}
    assert (stored["protocol"], stored["provider"]) == ("native/2", "echo")
    assert (stored["duration"], stored["sample_rate"], stored["channels"]) == (0.2, 16_000, 1)


async def test_parameters_reach_the_provider(serve: Serve) -> None:
    """What concerns the recognition is handed to the provider as it was sent."""
    server = await serve("puppet")
    await talk(
        server,
        model="m-1",
        language="en",
        endpointing_ms=250,
        utterance_end_ms=False,
        keyterms=["sttgate", "gateway"],
        punctuate=True,
        profanity_filter=False,
        diarize=True,
    )
    (params,) = server.engine("puppet").params
    assert (params.model, params.language) == ("m-1", "en")
    assert (params.endpointing_ms, params.utterance_end_ms) == (250, False)
    assert params.keyterms == ("sttgate", "gateway")
    assert (params.punctuate, params.profanity_filter, params.diarize) == (True, False, True)
