"""Watching a session that runs: everything its client hears, nothing that slows it down."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from sttgate.api import streams
from sttgate.session import session as session_module
from sttgate.session.entries import Warning as Note
from sttgate.testing import silence, tone
from tests.access.conftest import open_door
from tests.access.doors import OpenDoor, bearer
from tests.api.listening import listen
from tests.functional.conftest import serve
from tests.functional.native import Serve, Server, receive_frames, send, send_audio, start, until
from tests.gateways import receive_until

__all__ = ["open_door", "serve"]

MIB = 1024 * 1024


async def begin(server: Server, socket: object, **fields: object) -> str:
    """Start a session of protocol 2 and return its id."""
    messages = await start(socket, **fields)  # type: ignore[arg-type]
    session_id: str = messages[-1]["session_id"]
    return session_id


async def test_a_watcher_sees_what_the_client_sees(serve: Serve) -> None:
    """The data of each event is byte for byte what protocol 2 sends; `end` is the last one."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        async with listen(server, f"/sessions/{session_id}/events") as watcher:
            (started,) = await watcher.until("started")
            assert (started.id, started.data["seq"]) == ("1", 1)
            await send_audio(socket, tone(0.5))
            await send(socket, "stop")
            frames = await receive_frames(socket)
            seen = await watcher.until("end")
            assert await watcher.read() is None
        finals = [frame for frame in frames if '"is_final":false' not in frame]
        assert [each.raw for each in seen if '"is_final":false' not in each.raw][:-1] == finals
        assert seen[-1].raw == "{}"
        assert [each.event for each in seen[-2:]] == ["stopped", "end"]
        assert all(each.id == str(each.data["seq"]) for each in seen[:-1])
    await server.settled()


async def test_a_late_watcher_gets_all_from_the_beginning(serve: Serve) -> None:
    """Whoever comes later is sent what was said, except interims that are outdated."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        await send_audio(socket, silence(10.1))
        while not (await receive_until(socket, "transcript"))[-1]["is_final"]:
            pass
        async with listen(server, f"/sessions/{session_id}/events") as watcher:
            seen = await watcher.until("utterance_end")
            assert seen[0].event == "started"
            assert [each.data["text"] for each in seen if each.data.get("is_final")]
        await send(socket, "stop")
        await receive_until(socket, "stopped")
    await server.settled()


async def test_the_token_to_resume_is_not_for_watchers(serve: Serve) -> None:
    """The client's `started` has a token; who watches cannot take the session over with it."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        messages = await start(socket, resumable=True)
        token = messages[-1]["resume_token"]
        session_id = messages[-1]["session_id"]
        async with listen(server, f"/sessions/{session_id}/events") as watcher:
            (started,) = await watcher.until("started")
        assert token not in started.raw
        assert "resume" not in started.raw
        server.gateway.sessions[session_id].release()
        await send(socket, "stop")
        await receive_until(socket, "stopped")
    await server.settled()


async def test_words_are_sent_where_asked_for(serve: Serve) -> None:
    """`words=true` adds them, as the field of `start` does."""
    server = await serve(script=["one two"], words_per_second=20, pause=0)
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        await send_audio(socket, tone(1.0))
        await send(socket, "stop")
        seen = {}
        for asked in ("true", "false"):
            async with listen(server, f"/sessions/{session_id}/events?words={asked}") as watcher:
                events = await watcher.until("utterance_end")
            seen[asked] = next(each.data for each in events if each.data.get("is_final"))
        assert [word["word"] for word in seen["true"]["words"]] == ["one", "two"]
        assert "words" not in seen["false"]
    await server.settled()


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_watcher_goes_on_where_it_was(serve: Serve, how: str) -> None:
    """With `Last-Event-ID` or `from_seq` nothing comes twice."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        for label in ("a", "b", "c"):
            await send(socket, "mark", label=label)
        marks = await receive_until(socket, "marked")
        first = marks[-1]["seq"]
        if how == "header":
            path, headers = (
                f"/sessions/{session_id}/events?from_seq=1",
                {"Last-Event-ID": str(first)},
            )
        else:
            path, headers = f"/sessions/{session_id}/events?from_seq={first + 1}", {}
        async with listen(server, path, headers=headers) as watcher:
            seen = [await watcher.read(), await watcher.read()]
        assert [each.data["label"] for each in seen if each] == ["b", "c"]
    await server.settled()


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 30, "\u00b2"])
async def test_an_id_that_was_never_given(serve: Serve, value: str) -> None:
    """A Last-Event-ID that is no number is a 400 that names the header."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        path = f"/api/v1/sessions/{session_id}/events"
        async with server.client.get(path, headers={"Last-Event-ID": value}) as response:
            assert response.status == 400
            assert "Last-Event-ID" in (await response.json())["detail"]
    await server.settled()


async def test_an_id_from_the_future(serve: Serve) -> None:
    """A number that no event has yet means: what comes from now on."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        headers = {"Last-Event-ID": "900"}
        async with listen(server, f"/sessions/{session_id}/events", headers=headers) as watcher:
            await send(socket, "mark", label="now")
            sent = await watcher.read()
            assert sent is not None
            assert sent.data["label"] == "now"
    await server.settled()


async def test_a_session_that_is_over_cannot_be_watched(serve: Serve) -> None:
    """Nor can one that never was: 404, and the conversation is at its own address."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        await send(socket, "stop")
        await receive_until(socket, "stopped")
    await server.settled()
    for each in (session_id, "nobody"):
        async with server.client.get(f"/api/v1/sessions/{each}/events") as response:
            assert response.status == 404
            assert response.content_type == "application/problem+json"


async def test_a_session_of_somebody_else(open_door: OpenDoor) -> None:
    """Another key finds nothing there, the same key and an administrator do."""
    door = await open_door()
    mine = door.key()
    async with door.connect(headers=bearer(mine)) as socket:
        await receive_until(socket, "hello")
        await send(socket, "start")
        session_id = (await receive_until(socket, "started"))[-1]["session_id"]
        path = f"/api/v1/sessions/{session_id}/events"
        assert await door.status("GET", path, door.key()) == 404
        assert await door.status("GET", path, door.key("transcribe")) == 403
        assert await door.status("GET", path) == 401
        assert await door.status("GET", path, mine) == 200
        assert await door.status("GET", path, door.key("admin")) == 200


async def test_a_watcher_that_leaves_leaves_nothing(serve: Serve) -> None:
    """Its cursor is closed with the next event; the session goes on."""
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        log = server.gateway.sessions[session_id].events
        async with listen(server, f"/sessions/{session_id}/events") as watcher:
            await watcher.until("started")
            assert log.watchers == 1
            watcher.response.close()
        for label in ("a", "b"):
            await send(socket, "mark", label=label)
            await receive_until(socket, "marked")
        await until(lambda: log.watchers == 0)
        await send(socket, "stop")
        await receive_until(socket, "stopped")
    await server.settled()


async def test_a_silent_session_shows_signs_of_life(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comments come now and then, and find out who has left while nobody speaks."""
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        log = server.gateway.sessions[session_id].events
        async with listen(server, f"/sessions/{session_id}/events") as watcher:
            await watcher.until("started")
            with pytest.raises(TimeoutError):
                await watcher.read(0.5)
            assert watcher.comments >= 3
            watcher.response.close()
        await until(lambda: log.watchers == 0)
    await server.settled()


async def test_watchers_have_a_limit(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than a session may have gets a 429."""
    monkeypatch.setattr(streams, "MAX_WATCHERS", 2)
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        path = f"/sessions/{session_id}/events"
        async with listen(server, path) as one, listen(server, path) as two:
            await one.until("started")
            await two.until("started")
            async with server.client.get(f"/api/v1{path}") as response:
                assert response.status == 429
                assert response.headers["Retry-After"]
    await server.settled()


async def test_a_slow_watcher_costs_nothing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads nothing holds neither the client up nor memory, and is cut off in the end."""
    monkeypatch.setattr(streams, "WRITE_TIMEOUT", 3.0)
    server = await serve("torrent", size=200_000)
    async with server.connect("?protocol=2", max_msg_size=0) as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        log = server.gateway.sessions[session_id].events
        async with listen(server, f"/sessions/{session_id}/events"):
            await until(lambda: log.watchers == 1)
            gc.collect()
            tracemalloc.start()
            before, _ = tracemalloc.get_traced_memory()
            heard = 0
            while log.watchers:
                await send_audio(socket, tone(0.5))
                heard += len(await receive_until(socket, "transcript"))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert heard >= 20
        assert peak - before < 16 * MIB
        await send(socket, "stop")
        await receive_until(socket, "stopped")
    await server.settled()


async def test_a_watcher_that_is_behind_is_not_waited_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is gone soon after its end, whoever still has to read."""
    monkeypatch.setattr(session_module, "WATCH_TIMEOUT", 0.3)
    server = await serve()
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        session = server.gateway.sessions[session_id]
        async with listen(server, f"/sessions/{session_id}/events"):
            await until(lambda: session.events.watchers == 1)
            # far more than the buffers of both ends hold
            for number in range(400):
                session.events.append(Note(code="test", message=f"{number} " + "x" * 50_000))
            await send(socket, "stop")
            await receive_until(socket, "stopped", timeout=30)
            await server.settled()


async def test_shutting_down_ends_every_watch(serve: Serve) -> None:
    """A session that the end of the server cuts short ends its watchers, too."""
    server = await serve("puppet", hang="end")
    async with server.connect("?protocol=2") as socket:
        await receive_until(socket, "hello")
        session_id = await begin(server, socket)
        await send_audio(socket, tone(0.5))
        async with listen(server, f"/sessions/{session_id}/events") as watcher:
            await watcher.until("started")
            await server.gateway.drain("shutdown", timeout=0.2)
            await watcher.until("end")
            assert await watcher.read() is None
