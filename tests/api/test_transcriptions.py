"""Files over REST: sent, transcribed as live audio is, watched, cancelled, refused."""

from __future__ import annotations

import asyncio
import gc
import io
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import FormData

from sttgate.api import transcriptions
from sttgate.audio import AudioFormat
from sttgate.gateway import Gateway
from sttgate.testing import tone
from sttgate.uploads import transcribing
from sttgate.uploads.files import UploadFolder
from sttgate.uploads.job import Order
from tests.access.conftest import open_door
from tests.access.doors import OpenDoor, bearer
from tests.api.listening import listen
from tests.functional.conftest import serve
from tests.functional.native import Serve, Server, until
from tests.gateways import build_config
from tests.uploads.media import encode, wav

__all__ = ["open_door", "serve"]

PATH = "/api/v1/transcriptions"
MIB = 1024 * 1024
Answer = dict[str, Any]


def uploads(folder: Path) -> list[str]:
    """Return what lies in the folder of uploads."""
    path = folder / "data" / "uploads"
    return sorted(each.name for each in path.iterdir()) if path.is_dir() else []


async def upload(server: Server, data: Any, query: str = "", **options: Any) -> Answer:
    """Send a file that is taken; return the answer."""
    async with server.client.post(f"{PATH}{query}", data=data, **options) as response:
        assert response.status == 202, await response.text()
        answer: Answer = await response.json()
        assert response.headers["Location"] == answer["links"]["self"]
        return answer


async def refused(server: Server, data: Any, query: str = "", **options: Any) -> Answer:
    """Send a file that is not taken; return the problem."""
    async with server.client.post(f"{PATH}{query}", data=data, **options) as response:
        assert response.content_type == "application/problem+json", await response.text()
        problem: Answer = await response.json()
        assert problem["status"] == response.status
        if response.status in (429, 503):
            assert response.headers["Retry-After"]
        return problem


async def show(server: Server, upload_id: str) -> Answer:
    """Return how far a file is."""
    async with server.client.get(f"{PATH}/{upload_id}") as response:
        assert response.status == 200
        answer: Answer = await response.json()
        return answer


async def status(server: Server, method: str, upload_id: str, path: str = "") -> int:
    """Return the status of an answer."""
    async with server.client.request(method, f"{PATH}/{upload_id}{path}") as response:
        return response.status


async def over(server: Server, upload_id: str, timeout: float = 30.0) -> Answer:
    """Return a transcription once it is over."""
    async with asyncio.timeout(timeout):
        while (answer := await show(server, upload_id))["state"] not in ("done", "failed"):  # noqa: ASYNC110 - as a client has to
            await asyncio.sleep(0.02)
    return answer


# --- files that are taken ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wav", "webm", "flac"])
async def test_a_file_becomes_a_conversation(serve: Serve, tmp_path: Path, kind: str) -> None:
    """Its words and its audio are stored as those of a live session, and the upload is gone."""
    server = await serve()
    content = wav(tone(1.5)) if kind == "wav" else encode(kind, tone(1.5))
    query = "?title=A%20talk&language=en&metadata.room=12&metadata.by=me"
    accepted = await upload(server, content, query, headers={"Content-Type": f"audio/{kind}"})
    assert accepted["state"] == "queued"
    upload_id = accepted["id"]
    done = await over(server, upload_id)
    assert done == {
        "id": upload_id,
        "state": "done",
        "progress": 1.0,
        "duration": pytest.approx(1.5, abs=0.05),
        "session": upload_id,
        "error": None,
    }
    await server.settled()
    async with server.client.get(accepted["links"]["session"]) as response:
        session = await response.json()
    assert session["state"] == "completed"
    assert session["text"].startswith("heard 1.5 seconds")
    assert session["title"] == "A talk"
    assert session["language"] == "en"
    assert session["metadata"] == {"room": "12", "by": "me"}
    recording = await server.recording(upload_id)
    assert recording is not None
    if kind != "webm":
        assert recording == tone(1.5)
    assert uploads(tmp_path) == []


async def test_samples_without_a_header(serve: Serve) -> None:
    """The query tells what they are."""
    server = await serve()
    query = "?encoding=linear16&sample_rate=8000&channels=2"
    accepted = await upload(server, tone(2.0), query)
    assert (await over(server, accepted["id"]))["duration"] == 2.0
    await server.settled()
    async with server.client.get(accepted["links"]["session"]) as response:
        session = await response.json()
    assert (session["sample_rate"], session["channels"]) == (8000, 2)
    assert await server.recording(accepted["id"]) == tone(2.0)


async def test_a_form(serve: Serve) -> None:
    """A browser's form works; without a title the session has the name of the file."""
    server = await serve()
    form = FormData()
    form.add_field("file", wav(tone(1.0)), filename="C:\\talks\\monday.wav")
    accepted = await upload(server, form)
    assert (await over(server, accepted["id"]))["state"] == "done"
    await server.settled()
    async with server.client.get(accepted["links"]["session"]) as response:
        assert (await response.json())["title"] == "monday.wav"


async def test_a_body_of_unknown_length(serve: Serve) -> None:
    """A file may be sent while it is being made."""
    server = await serve()

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (wav(tone(1.0))[:100], wav(tone(1.0))[100:]):
            yield piece
            await asyncio.sleep(0.01)

    accepted = await upload(server, pieces())
    assert (await over(server, accepted["id"]))["duration"] == 1.0


async def test_watching(serve: Serve) -> None:
    """Progress, everything the session says, and how it ended."""
    server = await serve("puppet", lines=[(1.0, "final", "one"), (2.0, "endpoint", "two")])
    accepted = await upload(server, wav(tone(4.0)))
    async with listen(server, f"/transcriptions/{accepted['id']}/events") as watcher:
        seen = await watcher.until("done")
        assert await watcher.read() is None
    kinds = [each.event for each in seen]
    assert kinds[0] == "progress"
    assert [kind for kind in kinds if kind not in ("progress", "transcript")] == [
        "started",
        "utterance_end",
        "stopped",
        "done",
    ]
    assert [each.data["text"] for each in seen if each.event == "transcript"] == ["one", "two"]
    progress = [each.data["progress"] for each in seen if each.event in ("progress", "done")]
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    assert seen[-1].data == await show(server, accepted["id"])
    assert all((each.id is None) == (each.event in ("progress", "done")) for each in seen)
    async with listen(server, f"/transcriptions/{accepted['id']}/events") as late:
        assert (await late.until("done"))[-1].data == seen[-1].data


async def test_a_session_of_a_file_can_be_watched(serve: Serve) -> None:
    """It is a live session like any other while it runs."""
    server = await serve("puppet", hang="end", lines=[(9.0, "final", "words")])
    accepted = await upload(server, wav(tone(2.0)))
    await asyncio.wait_for(server.engine("puppet").reached.wait(), 10)
    assert (await show(server, accepted["id"]))["state"] == "transcribing"
    async with listen(server, f"/sessions/{accepted['id']}/events") as watcher:
        await watcher.until("started")
        server.engine("puppet").release.set()
        await watcher.until("end")
    assert (await over(server, accepted["id"]))["state"] == "done"


# --- the queue ---------------------------------------------------------------------------------------


async def test_one_after_the_other(serve: Serve) -> None:
    """What has to wait is queued, and one more than may wait gets a 429."""
    sections = {"uploads": {"at_once": 1, "waiting": 1}}
    server = await serve("puppet", sections=sections, hang="end")
    first = await upload(server, wav(tone(1.0)))
    second = await upload(server, wav(tone(1.0)))
    await asyncio.wait_for(server.engine("puppet").reached.wait(), 10)
    assert (await show(server, second["id"]))["state"] == "queued"
    problem = await refused(server, wav(tone(1.0)))
    assert (problem["status"], problem["code"]) == (429, "queue_full")
    async with server.client.get(PATH) as response:
        told = await response.json()
    assert told == {
        "max_bytes": 500 * MIB,
        "max_seconds": 240 * 60.0,
        "formats": "any",
        "at_once": 1,
        "running": 1,
        "waiting": 1,
        "full": True,
    }
    server.engine("puppet").release.set()
    for each in (first, second):
        assert (await over(server, each["id"]))["state"] == "done"
    await upload(server, wav(tone(1.0)))


async def test_the_last_state_is_told(serve: Serve) -> None:
    """Events about progress are few, but where a file stands in the end is told, if nothing follows too."""
    server = await serve("puppet", sections={"uploads": {"at_once": 1}}, hang="end")
    first = await upload(server, wav(tone(1.0)))
    second = await upload(server, wav(tone(1.0)))
    async with listen(server, f"/transcriptions/{second['id']}/events") as watcher:
        assert (await watcher.until("progress"))[-1].data["state"] == "queued"
        assert await status(server, "DELETE", first["id"]) == 204
        told = ""
        while told != "transcribing":
            told = (await watcher.until("progress", timeout=5.0))[-1].data["state"]
        server.engine("puppet").release.set()
        await watcher.until("done")


async def test_a_full_house(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file waits while there is no room for one more session."""
    monkeypatch.setattr(transcribing, "RETRY_INTERVAL", 0.05)
    server = await serve(sections={"server": {"port": 0, "max_sessions": 1}})
    async with server.connect("?protocol=2") as socket:
        await socket.send_json({"event": "start"})
        await until(lambda: bool(server.gateway.sessions))
        accepted = await upload(server, wav(tone(1.0)))
        await until(lambda: server.gateway.tally.rejected["capacity"] > 1)
        assert (await show(server, accepted["id"]))["state"] == "decoding"
    assert (await over(server, accepted["id"]))["state"] == "done"


# --- cancelling --------------------------------------------------------------------------------------


async def test_cancel_what_waits(serve: Serve, tmp_path: Path) -> None:
    """The file is gone, and nobody knows of it any more."""
    server = await serve("puppet", sections={"uploads": {"at_once": 1}}, hang="end")
    await upload(server, wav(tone(1.0)))
    await asyncio.wait_for(server.engine("puppet").reached.wait(), 10)
    second = await upload(server, wav(tone(1.0)))
    assert [name for name in uploads(tmp_path) if second["id"] in name]
    assert await status(server, "DELETE", second["id"]) == 204
    assert not [name for name in uploads(tmp_path) if second["id"] in name]
    assert await status(server, "GET", second["id"]) == 404
    server.engine("puppet").release.set()
    await server.settled()


async def test_cancel_what_is_being_transcribed(serve: Serve, tmp_path: Path) -> None:
    """The session ends at once, and nothing of it is kept; who watches is told."""
    server = await serve("puppet", hang="end", lines=[(0.5, "endpoint", "words")])
    accepted = await upload(server, wav(tone(1.0)))
    await asyncio.wait_for(server.engine("puppet").reached.wait(), 10)
    async with listen(server, f"/transcriptions/{accepted['id']}/events") as watcher:
        await watcher.until("transcript")
        assert await status(server, "DELETE", accepted["id"]) == 204
        seen = await watcher.until("failed")
    assert seen[-1].data["error"]["detail"] == "It was cancelled."
    await server.settled()
    assert await status(server, "GET", accepted["id"]) == 404
    assert await server.stored(accepted["id"]) is None
    assert await server.recording(accepted["id"]) is None
    assert uploads(tmp_path) == []


async def test_cancel_what_is_done(serve: Serve) -> None:
    """A conversation is not deleted by mistake: 409, and one that never was, 404."""
    server = await serve()
    accepted = await upload(server, wav(tone(1.0)))
    await over(server, accepted["id"])
    assert await status(server, "DELETE", accepted["id"]) == 409
    assert await server.stored(accepted["id"]) is not None
    assert await status(server, "DELETE", "nothing") == 404


async def test_a_failed_one_can_be_forgotten(serve: Serve) -> None:
    """Then it is unknown."""
    server = await serve()
    accepted = await upload(server, b"no audio at all")
    await over(server, accepted["id"])
    assert await status(server, "DELETE", accepted["id"]) == 204
    assert await status(server, "GET", accepted["id"]) == 404


async def test_a_client_that_leaves_half_way(serve: Serve, tmp_path: Path) -> None:
    """What arrived so far is deleted."""
    server = await serve()

    async def pieces() -> AsyncIterator[bytes]:
        yield wav(tone(1.0))
        await until(lambda: bool(uploads(tmp_path)))
        raise ConnectionResetError

    with pytest.raises((ConnectionError, OSError)):
        await server.client.post(PATH, data=pieces())
    await until(lambda: not uploads(tmp_path))
    assert server.gateway.sessions == {}


async def test_a_client_that_dribbles(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that does not come is given up: 408, and nothing is left."""
    monkeypatch.setattr(transcriptions, "IDLE_TIMEOUT", 0.2)
    server = await serve()
    never = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield wav(tone(1.0))
        await never.wait()

    async with server.client.post(PATH, data=pieces()) as response:
        assert response.status == 408
    assert uploads(tmp_path) == []


async def test_a_client_that_is_slow_for_ever(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes now and then do not keep a place for good."""
    monkeypatch.setattr(transcriptions, "GRACE", 0.5)
    server = await serve()

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.05)

    async with server.client.post(PATH, data=pieces()) as response:
        assert response.status == 408
    assert uploads(tmp_path) == []


# --- files that are not taken ------------------------------------------------------------------------


async def test_too_large(serve: Serve, tmp_path: Path) -> None:
    """413, whether the length is said before or not."""
    server = await serve(sections={"uploads": {"max_mb": 1}})
    content = wav(bytes(MIB))

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 64 * 1024):
            yield content[at : at + 64 * 1024]

    form = FormData()
    form.add_field("file", io.BytesIO(wav(bytes(MIB + 4096))), filename="a.wav")
    for data in (io.BytesIO(content), pieces(), form):
        assert (await refused(server, data))["status"] == 413
    assert uploads(tmp_path) == []


async def test_too_long(serve: Serve) -> None:
    """A file whose audio is longer than may be fails before there is a session."""
    server = await serve(sections={"uploads": {"max_minutes": 0.02}})
    accepted = await upload(server, encode("flac", tone(3.0)))
    failed = await over(server, accepted["id"])
    assert (failed["state"], failed["error"]["code"]) == ("failed", "max_duration")
    assert failed["session"] is None
    assert await server.stored(accepted["id"]) is None


@pytest.mark.parametrize("content", [b"RIFF", b"%PDF-1.7 and more", b"fLaC"])
async def test_no_audio(serve: Serve, tmp_path: Path, content: bytes) -> None:
    """It fails with a sentence for a person, and leaves nothing."""
    server = await serve()
    accepted = await upload(server, content)
    failed = await over(server, accepted["id"])
    assert (failed["state"], failed["error"]["code"]) == ("failed", "unsupported_encoding")
    await until(lambda: uploads(tmp_path) == [])


@pytest.mark.parametrize(
    ("query", "headers", "expected"),
    [
        ("?nonsense=1", {}, 400),
        ("?provider=nobody", {}, 400),
        ("?encoding=opus", {}, 400),
        ("?sample_rate=1", {}, 400),
        ("?channels=9", {}, 400),
        ("?metadata=1", {}, 400),
        ("?title=a&title=b", {}, 400),
        (f"?title={'x' * 201}", {}, 400),
        (f"?metadata.a={'x' * 5000}", {}, 400),
        ("", {"Content-Type": "text/html"}, 415),
        ("", {"Content-Type": "application/json"}, 415),
        ("", {"Content-Type": "audio/wav", "Content-Encoding": "gzip"}, 415),
    ],
)
async def test_what_cannot_be_asked(
    serve: Serve, tmp_path: Path, query: str, headers: dict[str, str], expected: int
) -> None:
    """It is refused before the file is read."""
    server = await serve()
    content = b"x" * 1000
    problem = await refused(server, content, query, headers=headers)
    assert problem["status"] == expected
    assert uploads(tmp_path) == []


async def test_an_empty_body(serve: Serve, tmp_path: Path) -> None:
    """Nothing is not a file."""
    server = await serve()
    assert (await refused(server, b""))["status"] == 400
    assert uploads(tmp_path) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\n",
        b"--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nabc\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc',
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n'
        b'--x\r\nContent-Disposition: form-data; name="more"\r\n\r\nabc\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n\r\n--x--\r\n',
        b"no form at all",
        b'--x\r\nContent-Disposition: form-data; name="\xb1\x19"\r\n\r\nabc\r\n--x--\r\n',
        b"--x\r\nno header\r\n\r\nabc\r\n--x--\r\n",
        b"--x\r\n" + b"A: b\r\n" * 20_000 + b"\r\nabc\r\n--x--\r\n",
    ],
)
@pytest.mark.parametrize("boundary", ["; boundary=x", ""])
async def test_a_form_that_is_none(
    serve: Serve, tmp_path: Path, body: bytes, boundary: str
) -> None:
    """Without the one part that is needed it is a 400."""
    server = await serve()
    headers = {"Content-Type": f"multipart/form-data{boundary}"}
    assert (await refused(server, body, headers=headers))["status"] == 400
    assert uploads(tmp_path) == []


async def test_a_disk_without_room(serve: Serve, tmp_path: Path) -> None:
    """503, and the client may come again."""
    server = await serve(sections={"spool": {"min_free_mb": 10**9}})
    problem = await refused(server, wav(tone(1.0)))
    assert (problem["status"], problem["code"]) == (503, "capacity")
    assert uploads(tmp_path) == []


async def test_a_server_that_goes_away(serve: Serve, tmp_path: Path) -> None:
    """It takes nothing new, and who is sending just then is told."""
    server = await serve()
    never = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield wav(tone(1.0))
        await never.wait()

    sending = asyncio.create_task(refused(server, pieces()))
    await until(lambda: bool(uploads(tmp_path)))
    await server.gateway.drain("shutdown")
    assert (await sending)["code"] == "shutdown"
    assert (await refused(server, wav(tone(1.0))))["code"] == "shutdown"
    assert uploads(tmp_path) == []


async def test_a_provider_that_fails(serve: Serve) -> None:
    """A file nobody could hear has failed; the recording is there to be heard again."""
    server = await serve(refuse=True, error="auth")
    accepted = await upload(server, wav(tone(1.0)))
    failed = await over(server, accepted["id"])
    assert (failed["state"], failed["error"]["code"]) == ("failed", "provider_auth")
    assert "1.0 seconds could not be transcribed" in failed["error"]["detail"]
    await server.settled()
    assert await server.recording(accepted["id"]) == tone(1.0)


# --- whose they are ----------------------------------------------------------------------------------


async def test_files_of_somebody_else(open_door: OpenDoor) -> None:
    """Another key finds nothing; scopes are asked for; the session has its owner."""
    door = await open_door()
    mine, other, reader = door.key(), door.key(), door.key("read")
    async with door.client.post(PATH, data=wav(tone(1.0)), headers=bearer(mine)) as response:
        assert response.status == 202
        path = f"{PATH}/{(await response.json())['id']}"
    assert await door.status("POST", PATH, reader, data=wav(tone(1.0))) == 403
    assert await door.status("POST", PATH, data=wav(tone(1.0))) == 401
    while True:
        async with door.client.get(path, headers=bearer(mine)) as response:
            assert response.status == 200
            if (await response.json())["state"] == "done":
                break
        await asyncio.sleep(0.02)
    for each in (other, reader):
        assert await door.status("GET", path, each) == 404
        assert await door.status("GET", f"{path}/events", each) == 404
    assert await door.status("DELETE", path, other) == 404
    assert await door.status("DELETE", path, reader) == 403
    assert await door.status("GET", path, door.key("admin")) == 200
    await until(lambda: not door.gateway.sessions)
    stored = await door.gateway.transcripts.find(path.rpartition("/")[2])
    assert stored is not None
    assert stored.start.owner is not None


async def test_a_revoked_key_loses_its_place(serve: Serve, tmp_path: Path) -> None:
    """What waits is deleted; what is being transcribed goes on."""
    server = await serve("puppet", sections={"uploads": {"at_once": 1}}, hang="end")
    first = await upload(server, wav(tone(1.0)))
    await asyncio.wait_for(server.engine("puppet").reached.wait(), 10)
    second = await upload(server, wav(tone(1.0)))
    server.gateway.cut_off(lambda principal: False)
    assert (await over(server, second["id"]))["error"]["detail"] == "It was cancelled."
    server.engine("puppet").release.set()
    assert (await over(server, first["id"]))["state"] == "done"
    await until(lambda: not uploads(tmp_path))


# --- restarts ----------------------------------------------------------------------------------------


async def test_a_restart(serve: Serve, tmp_path: Path) -> None:
    """What waits is transcribed by the next process; what was being transcribed is settled there."""
    sections = {"uploads": {"at_once": 1}}
    server = await serve("puppet", sections=sections, hang="end", lines=[(1.0, "final", "words")])
    first = await upload(server, wav(tone(2.0)), "?title=first")
    await asyncio.wait_for(server.engine("puppet").reached.wait(), 10)
    await until(lambda: not [name for name in uploads(tmp_path) if first["id"] in name])
    second = await upload(server, wav(tone(3.0)), "?title=second")
    await server.gateway.drain("shutdown", timeout=0.1)
    await server.client.close()
    assert [name for name in uploads(tmp_path) if second["id"] in name]

    server = await serve("echo", sections=sections)
    assert (await over(server, second["id"]))["state"] == "done"
    await server.settled()
    assert uploads(tmp_path) == []
    stored = await server.stored(second["id"])
    assert stored is not None
    assert (stored["state"], stored["title"]) == ("completed", "second")
    assert await server.recording(second["id"]) == tone(3.0)
    stored = await server.stored(first["id"])
    assert stored is not None
    assert (stored["state"], stored["title"]) == ("interrupted", "first")
    assert await server.recording(first["id"]) == tone(2.0)
    again = await show(server, first["id"])
    assert (again["state"], again["duration"]) == ("done", 2.0)
    async with listen(server, f"/transcriptions/{first['id']}/events") as watcher:
        assert (await watcher.until("done"))[-1].data == again


async def test_a_crash_while_a_session_got_the_audio(serve: Serve, tmp_path: Path) -> None:
    """The next process begins again, under the same id, and leaves nothing of the first attempt."""
    order = Order(id="half-way", created_at=1.0, title="half")
    gateway = Gateway.from_config(build_config(tmp_path))
    await gateway.open()
    file = await asyncio.to_thread(UploadFolder(tmp_path / "data" / "uploads").create, order.id)
    file.write(wav(tone(3.0)))
    session = await gateway.open_session(order.session_params(AudioFormat()))
    session.append(tone(1.0))
    await session.audio.safe()
    for task in asyncio.all_tasks():
        if task.get_name() == f"session {order.id}":
            task.cancel()
            await asyncio.wait({task})
    await gateway.close()
    assert list((tmp_path / "data" / "spool").iterdir())
    file.keep(msgspec.json.encode(order))
    file.close()
    (tmp_path / "data" / "uploads" / "torn.upload").write_bytes(b"half of a file")

    server = await serve()
    assert (await over(server, "half-way"))["duration"] == 3.0
    await server.settled()
    stored = await server.stored("half-way")
    assert stored is not None
    assert (stored["state"], stored["text"]) == ("completed", "heard 3.0 seconds")
    assert await server.recording("half-way") == tone(3.0)
    assert uploads(tmp_path) == []


# --- what size costs ---------------------------------------------------------------------------------


async def test_memory_does_not_grow_with_the_file(serve: Serve) -> None:
    """Neither the file nor its audio is ever in memory."""
    server = await serve()
    block = bytes(256 * 1024)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(192):
            yield block

    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    accepted = await upload(server, pieces(), "?encoding=linear16&sample_rate=48000&channels=8")
    done = await over(server, accepted["id"], timeout=55)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done["duration"] == pytest.approx(192 * len(block) / (48_000 * 16), abs=0.01)
    assert peak - before < 24 * MIB
