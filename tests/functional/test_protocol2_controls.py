"""Protocol 2: what a client may say during a session."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientWebSocketResponse

from sttgate.session import finalizing
from sttgate.testing import silence, tone
from tests.functional.native import Message, Serve, send, send_audio, start, stop
from tests.gateways import assert_silent, finals, receive, receive_until


async def begin(socket: ClientWebSocketResponse, **fields: object) -> Message:
    """Start a session and return its `started`."""
    await receive_until(socket, "hello")
    return (await start(socket, **fields))[-1]


# --- finalize -----------------------------------------------------------------------------------


@pytest.mark.parametrize("request_id", ["a", 7, None, 1.5, True])
async def test_finalize_settles_what_was_said(serve: Serve, request_id: object) -> None:
    """All audio so far becomes final, then `finalized` comes with the id; audio goes on."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await begin(socket)
        await send_audio(socket, silence(0.3))
        await send(socket, "finalize", id=request_id)
        messages = await receive_until(socket, "finalized")
        assert finals(messages) == ["heard 0.3 seconds"]
        assert messages[-2]["event"] == "utterance_end"
        assert messages[-2]["reason"] == "finalize"
        assert messages[-1].items() >= {"id": request_id, "t": 0.3}.items()
        await send_audio(socket, silence(0.2))
        messages = await stop(socket)
        assert finals(messages) == ["heard 0.2 seconds"]
        assert messages[-1]["full_transcription"] == "heard 0.3 seconds heard 0.2 seconds"


async def test_finalize_without_any_audio(serve: Serve) -> None:
    """With nothing to settle, `finalized` comes at once."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await begin(socket)
        await send(socket, "finalize", id="x")
        message = await receive(socket)
        assert (message["event"], message["id"], message["t"]) == ("finalized", "x", 0.0)


async def test_finalize_before_the_provider_is_ready(serve: Serve) -> None:
    """A finalize waits in line with the audio until the provider has connected."""
    server = await serve("puppet", hang="begin", lines=[(0.1, "final", "hello")])
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await start(socket)
        await socket.send_bytes(silence(0.2))
        await send(socket, "finalize", id=1)
        await assert_silent(socket)
        server.engine("puppet").release.set()
        messages = await receive_until(socket, "finalized")
        assert finals(messages) == ["hello"]


async def test_two_finalizes_in_a_row(serve: Serve) -> None:
    """Each finalize is answered once, in order."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await begin(socket)
        await send_audio(socket, silence(0.3))
        for request_id in (1, 2):
            await send(socket, "finalize", id=request_id)
        await send_audio(socket, silence(0.2))
        await send(socket, "finalize", id=3)
        messages = await stop(socket)
        answers = [m for m in messages if m["event"] == "finalized"]
        assert [(m["id"], m["t"]) for m in answers] == [(1, 0.3), (2, 0.3), (3, 0.5)]
        assert finals(messages) == ["heard 0.3 seconds", "heard 0.2 seconds"]


async def test_late_answer_is_not_taken_for_the_next_one(serve: Serve) -> None:
    """An answer that comes after the words it is about settles nothing that was said since."""
    server = await serve("pipeline", final_after=0.05, answer_after=0.5)
    async with server.connect("?protocol=2") as socket:
        await begin(socket)
        await send_audio(socket, silence(1.0))
        await send(socket, "finalize", id=1)
        messages = await receive_until(socket, "finalized")
        await send_audio(socket, silence(1.0))
        await send(socket, "finalize", id=2)
        messages += await receive_until(socket, "finalized")
        assert finals(messages) == ["from 0 to 1", "from 1 to 2"]
        await send_audio(socket, silence(1.0))
        assert finals(await stop(socket)) == ["from 2 to 3"]


@pytest.mark.parametrize("answers_late", [False, True])
async def test_unanswered_finalize(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, answers_late: bool
) -> None:
    """A provider that does not answer gets a warning, then `finalized` comes, once."""
    monkeypatch.setattr(finalizing, "FINALIZE_TIMEOUT", 0.3)
    server = await serve("puppet", hang="finalize", lines=[(0.5, "final", "hello")])
    async with server.connect("?protocol=2") as socket:
        await begin(socket)
        await send_audio(socket, silence(0.3))
        await send(socket, "finalize", id=1)
        warning, finalized = await receive_until(socket, "finalized")
        assert (warning["event"], warning["code"]) == ("warning", "finalize_timeout")
        assert (finalized["id"], finalized["t"]) == (1, 0.3)
        await send_audio(socket, silence(0.3))
        if not answers_late:
            await send(socket, "finalize", id=2)
            await receive_until(socket, "finalized")
        server.engine("puppet").release.set()
        messages = await stop(socket)
        assert [m["event"] for m in messages] == ["transcript", "utterance_end", "stopped"]
        assert finals(messages) == ["hello"]


async def test_finalize_of_two_channels_is_answered_once(serve: Serve) -> None:
    """`finalized` waits for every channel."""
    server = await serve("pipeline", final_after=0.0, answer_after=0.1)
    async with server.connect("?protocol=2") as socket:
        await begin(socket, channels=2, multichannel=True)
        await socket.send_bytes(silence(1.0))
        await send(socket, "finalize", id=1)
        messages = await receive_until(socket, "finalized")
        assert sorted(m["channel"] for m in messages if m["event"] == "transcript") == [0, 1]
        assert not [m for m in await stop(socket) if m["event"] == "finalized"]


async def test_finalize_after_stop_is_ignored(serve: Serve) -> None:
    """`stop` settles everything, so a finalize behind it means nothing."""
    server = await serve("puppet", hang="end", lines=[(9.0, "final", "hello")])
    async with server.connect("?protocol=2") as socket:
        await begin(socket)
        await socket.send_bytes(silence(0.1))
        await send(socket, "stop")
        await asyncio.wait_for(server.engine("puppet").reached.wait(), 5)
        await send(socket, "finalize", id=1)
        server.engine("puppet").release.set()
        messages = await receive_until(socket, "stopped")
        assert "finalized" not in [m["event"] for m in messages]


# --- pause, mark, metadata ----------------------------------------------------------------------


async def test_pause_drops_audio_and_stops_the_clock(serve: Serve) -> None:
    """Audio between `pause` and `unpause` is not heard, not recorded and takes no time."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        session_id = (await begin(socket))["session_id"]
        await send_audio(socket, tone(0.3, hertz=440))
        await send(socket, "pause")
        assert (await receive_until(socket, "paused"))[-1]["t"] == 0.3
        await send_audio(socket, tone(0.5, hertz=880))
        await send(socket, "mark", label="while paused")
        assert (await receive_until(socket, "marked"))[-1]["t"] == 0.3
        await send(socket, "unpause")
        assert (await receive_until(socket, "unpaused"))[-1]["t"] == 0.3
        await send_audio(socket, tone(0.2, hertz=220))
        messages = await stop(socket)
        assert finals(messages) == ["heard 0.5 seconds"]
        assert messages[-1]["duration_s"] == 0.5
        assert await server.recording(session_id) == tone(0.3, hertz=440) + tone(0.2, hertz=220)


async def test_stop_while_paused(serve: Serve) -> None:
    """A session may end while paused; one that only heard paused audio is not stored."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        session_id = (await begin(socket))["session_id"]
        await send(socket, "pause")
        await send_audio(socket, silence(0.3))
        messages = await stop(socket)
        assert messages[-1]["duration_s"] == 0
        assert messages[-1]["stored"] == {"transcript": False, "audio": False}
        assert await server.stored(session_id) is None


async def test_provider_is_kept_while_paused(serve: Serve) -> None:
    """The stream goes on after a pause: the provider is asked once."""
    server = await serve("puppet", lines=[(0.3, "final", "hello")])
    async with server.connect("?protocol=2") as socket:
        await begin(socket)
        await send_audio(socket, silence(0.2))
        await send(socket, "pause")
        await receive_until(socket, "paused")
        await assert_silent(socket, 0.5)
        await send(socket, "unpause")
        await send_audio(socket, silence(0.2))
        assert finals(await stop(socket)) == ["hello"]
    assert len(server.engine("puppet").params) == 1


async def test_marks_are_stored(serve: Serve) -> None:
    """A mark is told with its place on the session clock, and stored."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        session_id = (await begin(socket))["session_id"]
        marks = []
        for label in ("first", "größte", ""):
            await send_audio(socket, silence(0.2))
            await send(socket, "mark", label=label)
            marks.append((await receive_until(socket, "marked"))[-1])
        assert [(m["t"], m["label"]) for m in marks] == [
            (0.2, "first"),
            (0.4, "größte"),
            (0.6, ""),
        ]
        await stop(socket)
        stored = await server.stored(session_id)
        assert stored is not None
        assert [(m["at"], m["label"]) for m in stored["marks"]] == [
            (m["t"], m["label"]) for m in marks
        ]


async def test_metadata_is_merged_and_stored(serve: Serve) -> None:
    """Metadata sent later is merged into that of `start`, without an answer."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        started = await begin(socket, metadata={"a": 1, "b": "x"})
        assert started["metadata"] == {"a": 1, "b": "x"}
        await socket.send_bytes(silence(0.1))
        await send(socket, "metadata", metadata={"b": "y", "c": None, "d": 10**30})
        messages = await stop(socket)
        assert not [m for m in messages if m["event"] in ("error", "warning", "metadata")]
        stored = await server.stored(messages[-1]["session_id"])
        assert stored is not None
        assert stored["metadata"] == {"a": 1, "b": "y", "c": None, "d": 10**30}


async def test_metadata_has_a_bound(serve: Serve) -> None:
    """Metadata stays within 4 KiB in all, however it was sent."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await begin(socket, metadata={"a": "x" * 3000})
        await socket.send_bytes(silence(0.1))
        await send(socket, "metadata", metadata={"b": "x" * 3000})
        error = (await receive_until(socket, "error"))[-1]
        assert error["code"] == "bad_request"
        messages = await stop(socket)
        stored = await server.stored(messages[-1]["session_id"])
        assert stored is not None
        assert list(stored["metadata"]) == ["a"]


# --- small talk ---------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"id": 1}, {"id": "x"}, {"id": 10**30}, {"id": None}, {}])
async def test_ping(serve: Serve, fields: dict[str, object]) -> None:
    """`ping` is answered with its id, in a session and outside."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        pong = {"event": "pong", "id": fields.get("id")}
        await send(socket, "ping", **fields)
        assert await receive(socket) == pong
        await start(socket)
        await send(socket, "ping", **fields)
        assert await receive(socket) == pong


async def test_keepalive_is_silent(serve: Serve) -> None:
    """`keepalive` has no answer, in a session and outside."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        await send(socket, "keepalive")
        await assert_silent(socket)
        await start(socket)
        await send(socket, "keepalive")
        await assert_silent(socket)
