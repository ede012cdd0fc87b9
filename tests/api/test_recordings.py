"""Recordings, outlines and exports over REST."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from aiohttp import ClientPayloadError, web

from sttgate.api import recordings as recordings_module
from sttgate.errors import StoreError
from sttgate.exports import FORMATS
from sttgate.gateway import Gateway
from sttgate.stores import Recording, RecordingStore
from tests.api.service import Serve, Service, eventually

RAMP = [[n * 300] for n in range(100)]
SIZE = 44 + 200


class Pathless(RecordingStore):
    """A store with recordings in memory, as one that has them somewhere else; no generator either.

    ``fail_at`` is the byte at which reading fails.
    """

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.fail_at: int | None = None

    async def put(self, session_id: str, source: Path) -> Recording:
        self.content[session_id] = source.read_bytes()
        source.unlink()
        return Recording(session_id=session_id, size=len(self.content[session_id]))

    async def find(self, session_id: str) -> Recording | None:
        content = self.content.get(session_id)
        return None if content is None else Recording(session_id=session_id, size=len(content))

    def read(
        self, session_id: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        return _Blocks(self.content[session_id], start, stop, self.fail_at)

    async def delete(self, session_id: str) -> bool:
        return self.content.pop(session_id, None) is not None


class _Blocks:
    def __init__(self, content: bytes, start: int, stop: int | None, fail_at: int | None) -> None:
        self._content = content[:stop]
        self._at = start
        self._fail_at = fail_at

    def __aiter__(self) -> _Blocks:
        return self

    async def __anext__(self) -> bytes:
        if self._fail_at is not None and self._at >= self._fail_at:
            raise StoreError("the bucket is gone")
        block = self._content[self._at : self._at + 50]
        self._at += len(block)
        if not block:
            raise StopAsyncIteration
        return block


@pytest.fixture(params=["files", "pathless"])
async def any_store(request: pytest.FixtureRequest, serve: Serve) -> Service:
    """Return an API over a store with local files, and over one that has none."""

    def adapt(gateway: Gateway) -> None:
        if request.param == "pathless":
            gateway.recordings = Pathless()

    return await serve(adapt=adapt)


class TestAudio:
    async def test_whole(self, any_store: Service) -> None:
        """Without a range the whole file comes, with what a client needs to ask for parts of it."""
        await any_store.store("hello", pcm=RAMP)
        answer = await any_store.request("GET", "/sessions/session-1/audio")
        assert (answer.status, len(answer.body), answer.body[:4]) == (200, SIZE, b"RIFF")
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Content-Type"] == "audio/wav"
        assert answer.headers["Last-Modified"] == "Wed, 25 Nov 2026 09:47:40 GMT"
        assert "Content-Disposition" not in answer.headers

    @pytest.mark.parametrize(
        ("header", "first", "last"),
        [("bytes=0-43", 0, 43), ("bytes=40-", 40, 243), ("bytes=-10", 234, 243)],
    )
    async def test_part(self, any_store: Service, header: str, first: int, last: int) -> None:
        """A range is answered with its bytes and where they belong."""
        await any_store.store("hello", pcm=RAMP)
        whole = (await any_store.request("GET", "/sessions/session-1/audio")).body
        answer = await any_store.request(
            "GET", "/sessions/session-1/audio", headers={"Range": header}
        )
        assert answer.status == 206
        assert answer.body == whole[first : last + 1]
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
        assert answer.headers["Content-Length"] == str(len(answer.body))

    async def test_outside(self, any_store: Service) -> None:
        """A range behind the end is refused, and the size is told."""
        await any_store.store("hello", pcm=RAMP)
        answer = await any_store.request(
            "GET", "/sessions/session-1/audio", headers={"Range": "bytes=244-"}
        )
        answer.assert_problem(416, "range_not_satisfiable")
        assert answer.headers["Content-Range"] == f"bytes */{SIZE}"

    async def test_several_parts(self, any_store: Service) -> None:
        """Somebody who asks for several ranges at once gets everything."""
        await any_store.store("hello", pcm=RAMP)
        answer = await any_store.request(
            "GET", "/sessions/session-1/audio", headers={"Range": "bytes=0-1,5-6"}
        )
        assert (answer.status, len(answer.body)) == (200, SIZE)

    async def test_head(self, any_store: Service) -> None:
        """HEAD tells the same as GET, and sends nothing."""
        await any_store.store("hello", pcm=RAMP)
        for headers, status, length in (({}, 200, SIZE), ({"Range": "bytes=0-9"}, 206, 10)):
            answer = await any_store.request("HEAD", "/sessions/session-1/audio", headers=headers)
            assert answer.status == status
            assert answer.headers["Content-Length"] == str(length)

    async def test_known_version(self, any_store: Service) -> None:
        """A client that has the file is not sent it again, and continues only what it has."""
        await any_store.store("hello", pcm=RAMP)
        path = "/sessions/session-1/audio"
        etag = (await any_store.request("GET", path)).headers["ETag"]
        again = await any_store.request("GET", path, headers={"If-None-Match": etag})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
        part = {"Range": "bytes=0-9", "If-Range": etag}
        assert (await any_store.request("GET", path, headers=part)).status == 206
        part["If-Range"] = '"other"'
        assert (await any_store.request("GET", path, headers=part)).status == 200

    async def test_download(self, any_store: Service) -> None:
        """On request it is a file to save, with a name made of the title."""
        await any_store.store("hello", pcm=RAMP, title="Stand-up, Monday")
        answer = await any_store.request("GET", "/sessions/session-1/audio?download=1")
        assert answer.headers["Content-Disposition"] == (
            'attachment; filename="Stand-up-Monday-session-.wav"'
        )

    async def test_none(self, any_store: Service) -> None:
        """A session without a recording has no audio and no outline."""
        await any_store.store("hello")
        for path in ("audio", "peaks"):
            answer = await any_store.request("GET", f"/sessions/session-1/{path}")
            answer.assert_problem(404, "not_found")

    async def test_store_that_fails_first(self, serve: Serve) -> None:
        """A store that cannot give a byte is told as such, and no byte is sent."""
        store = Pathless()
        api = await serve(adapt=lambda gateway: setattr(gateway, "recordings", store))
        await api.store("hello", pcm=RAMP)
        store.fail_at = 0
        for path in ("audio", "peaks"):
            answer = await api.request("GET", f"/sessions/session-1/{path}")
            answer.assert_problem(503, "storage_failed")
            assert "bucket" not in answer.body.decode()

    async def test_store_that_fails_midway(self, serve: Serve) -> None:
        """A recording that breaks off does so on the wire: nobody takes it for the whole."""
        store = Pathless()
        api = await serve(adapt=lambda gateway: setattr(gateway, "recordings", store))
        await api.store("hello", pcm=RAMP)
        store.fail_at = 100
        with pytest.raises(ClientPayloadError):
            async with api.client.get("/api/v1/sessions/session-1/audio") as response:
                await response.read()

    async def test_file_that_is_short(self, serve: Serve) -> None:
        """A store that has less than it said breaks off, too."""

        class Short(Pathless):
            async def find(self, session_id: str) -> Recording | None:
                return Recording(session_id=session_id, size=SIZE + 10)

        api = await serve(adapt=lambda gateway: setattr(gateway, "recordings", Short()))
        await api.store("hello", pcm=RAMP)
        with pytest.raises(ClientPayloadError):
            async with api.client.get("/api/v1/sessions/session-1/audio") as response:
                await response.read()

    async def test_client_that_does_not_read(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A client that takes nothing any more is let go, and what was read for it is closed."""
        monkeypatch.setattr(recordings_module, "WRITE_TIMEOUT", 0.2)
        api = await serve()
        await api.store("hello", pcm=np.zeros((8_000_000, 1)))
        reader, writer = await asyncio.open_connection("127.0.0.1", api.client.port, limit=1024)
        writer.write(b"GET /api/v1/sessions/session-1/audio HTTP/1.1\r\nHost: here\r\n\r\n")
        await reader.readline()
        server = api.client.server.runner.server
        before = len(server.connections)
        await eventually(lambda: _fewer(server, before))
        writer.transport.abort()


class TestPeaks:
    async def test_outline(self, any_store: Service) -> None:
        """Each piece of each channel has its lowest and highest sample."""
        await any_store.store("hello", pcm=[[n * 100, -n * 100] for n in range(100)])
        peaks = await any_store.get("/sessions/session-1/peaks?n=10")
        assert peaks["duration"] == round(100 / 16_000, 3)
        assert [len(channel) for channel in peaks["channels"]] == [10, 10]
        low, high = peaks["channels"][0][9]
        assert (low, high) == (round(9000 / 32768, 4), round(9900 / 32768, 4))
        assert peaks["channels"][1][9] == [-high, -low]

    async def test_finer_than_the_audio(self, any_store: Service) -> None:
        """There are no more pieces than samples."""
        await any_store.store("hello", pcm=RAMP)
        assert len((await any_store.get("/sessions/session-1/peaks"))["channels"][0]) == 100

    async def test_asked_again(self, serve: Serve) -> None:
        """What was computed is not computed again."""
        store = Pathless()
        api = await serve(adapt=lambda gateway: setattr(gateway, "recordings", store))
        await api.store("hello", pcm=RAMP)
        first = await api.get("/sessions/session-1/peaks?n=20")
        store.fail_at = 0
        assert await api.get("/sessions/session-1/peaks?n=20") == first
        assert (await api.request("GET", "/sessions/session-1/peaks?n=21")).status == 503

    async def test_long_recording(self, any_store: Service) -> None:
        """A recording of several blocks is outlined like a short one."""
        await any_store.store("hello", pcm=np.arange(1_200_000).reshape(-1, 1) % 1000)
        peaks = await any_store.get("/sessions/session-1/peaks?n=100")
        assert peaks["duration"] == 75.0
        assert peaks["channels"] == [[[0.0, round(999 / 32768, 4)]] * 100]

    async def test_damaged(self, any_store: Service, tmp_path: Path) -> None:
        """What is no WAV is not outlined, and nothing of the inside is told."""
        await any_store.store("hello")
        (tmp_path / "bad").write_bytes(b"RIFF, but no more")
        await any_store.gateway.recordings.put("session-1", tmp_path / "bad")
        answer = await any_store.request("GET", "/sessions/session-1/peaks")
        answer.assert_problem(503, "storage_failed")

    @pytest.mark.parametrize("n", ["9", "10001", "x", "1e3"])
    async def test_wrong_number(self, api: Service, n: str) -> None:
        """A number of pieces that cannot be had is refused."""
        answer = await api.request("GET", f"/sessions/session-1/peaks?n={n}")
        answer.assert_problem(400, "bad_request")


class TestExport:
    @pytest.mark.parametrize("format", FORMATS)
    async def test_formats(self, api: Service, format: str) -> None:
        """Each format comes as a file of its type, with what was said."""
        await api.store("grüße <b>an</b> alle", title="Grüße")
        answer = await api.request("GET", f"/sessions/session-1/export?format={format}")
        assert answer.status == 200
        assert answer.media == FORMATS[format].media_type
        assert answer.headers["Content-Type"].endswith("charset=utf-8")
        assert "grüße" in answer.body.decode()
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        plain, _, encoded = answer.headers["Content-Disposition"].partition("; filename*=UTF-8''")
        suffix = FORMATS[format].suffix
        assert plain == f'attachment; filename="Grue-session-{suffix}"'
        assert unquote(encoded) == f"Grüße-session-{suffix}"

    async def test_usual_format(self, api: Service) -> None:
        """Without a format it is text."""
        await api.store("hello")
        answer = await api.request("GET", "/sessions/session-1/export")
        assert answer.media == "text/plain"
        assert "hello" in answer.body.decode()

    @pytest.mark.parametrize("format", ["doc", "TXT", "../../etc/passwd"])
    async def test_unknown_format(self, api: Service, format: str) -> None:
        """A format that does not exist is refused."""
        await api.store("hello")
        answer = await api.request("GET", "/sessions/session-1/export", params={"format": format})
        answer.assert_problem(400, "bad_request")

    async def test_no_such_session(self, api: Service) -> None:
        """A session that does not exist has no files."""
        answer = await api.request("GET", "/sessions/nobody/export")
        answer.assert_problem(404, "not_found")


def test_formats_are_those_there_are() -> None:
    """The formats of the operation are the ones that can be written."""
    schema = recordings_module.ExportQuery.model_json_schema()
    assert schema["properties"]["format"]["enum"] == list(FORMATS)


async def _fewer(server: web.Server[web.Request], than: int) -> bool:
    return len(server.connections) < than
