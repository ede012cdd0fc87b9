"""A session outlives its socket, and a client that reconnects misses nothing."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer
from pytest_aiohttp.plugin import AiohttpClient

from sttgate.app import create_app
from sttgate.client import connect
from sttgate.gateway import Gateway
from sttgate.protocols.native import PATH
from sttgate.session import entries
from sttgate.testing import tone
from tests.gateways import build_config, receive_until, scripted

SENTENCES = [f"this is sentence number {n}" for n in range(40)]


class Cutter:
    """A TCP relay that cuts its connections whenever it is told to."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Cutter:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        self.cut()
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}
            for each in (writer, far_writer):
                each.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()


async def test_client_cut_off_again_and_again_loses_nothing(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    """Whenever the connection is cut, every final comes once and the recording is exact."""
    gateway = Gateway.from_config(build_config(tmp_path, providers=scripted(tuple(SENTENCES))))
    client = await aiohttp_client(create_app(gateway))
    pcm = tone(30.0)
    rng = random.Random(7)
    async with (
        Cutter(client.port) as cutter,
        connect(f"http://127.0.0.1:{cutter.port}", words=True) as caller,
    ):

        async def speak() -> None:
            for at in range(0, len(pcm), 3200):
                await caller.send(pcm[at : at + 3200])
                await asyncio.sleep(0.002)
                if rng.random() < 0.03:
                    cutter.cut()
            await caller.stop()

        speaking = asyncio.create_task(speak())
        said = [entry async for entry in caller.events()]
        await speaking
    texts = [e.text for e in said if isinstance(e, entries.Transcript) and e.is_final]
    stopped = said[-1]
    assert isinstance(stopped, entries.Stopped)
    assert caller.resumes > 0
    assert " ".join(texts) == stopped.full_transcription
    sequence = [entry.seq for entry in said]
    assert sequence == sorted(set(sequence))
    recording = await gateway.recordings.find(stopped.session_id)
    assert recording is not None
    assert recording.path is not None
    assert recording.path.read_bytes()[44:] == pcm


async def test_second_connection_takes_the_session_over(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    """A resume while the old socket still stands closes that with 4409."""
    client = await _serve(tmp_path, aiohttp_client)
    async with client.ws_connect(f"{PATH}?protocol=2") as old:
        await old.send_json({"event": "start", "resumable": True})
        started = (await receive_until(old, "started"))[-1]
        await old.send_bytes(tone(1.0))
        await receive_until(old, "transcript")
        resume = {"session_id": started["session_id"], "token": started["resume_token"]}
        async with client.ws_connect(f"{PATH}?protocol=2") as new:
            await new.send_json({"event": "start", "resume": resume | {"last_seq": 0}})
            resumed = (await receive_until(new, "resumed"))[-1]
            assert resumed["received_bytes"] == 32000
            assert (await receive_until(old, "error"))[-1]["code"] == "session_taken"
            await old.receive(timeout=5)
            assert old.close_code == 4409
            await new.send_json({"event": "stop"})
            stopped = (await receive_until(new, "stopped"))[-1]
    assert stopped["session_id"] == started["session_id"]
    assert stopped["duration_s"] == 1.0


async def test_wrong_token_is_refused(tmp_path: Path, aiohttp_client: AiohttpClient) -> None:
    """Whoever does not know the token gets 4404 and the session goes on undisturbed."""
    client = await _serve(tmp_path, aiohttp_client)
    async with client.ws_connect(f"{PATH}?protocol=2") as owner:
        await owner.send_json({"event": "start", "resumable": True})
        started = (await receive_until(owner, "started"))[-1]
        async with client.ws_connect(f"{PATH}?protocol=2") as thief:
            resume = {"session_id": started["session_id"], "token": "guess", "last_seq": 0}
            await thief.send_json({"event": "start", "resume": resume})
            assert (await receive_until(thief, "error"))[-1]["code"] == "session_not_found"
            await thief.receive(timeout=5)
            assert thief.close_code == 4404
        await owner.send_json({"event": "stop"})
        await receive_until(owner, "stopped")


async def test_acks_count_the_bytes_that_arrived(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    """With acks the client is told how much the gateway has."""
    client = await _serve(tmp_path, aiohttp_client)
    async with client.ws_connect(f"{PATH}?protocol=2") as socket:
        await socket.send_json({"event": "start", "acks": 0.05})
        await socket.send_bytes(tone(0.5))
        while (ack := (await receive_until(socket, "ack"))[-1])["received_bytes"] < 16000:
            pass
        assert ack == {"event": "ack", "received_bytes": 16000, "received_s": 0.5} | {
            "stored_s": ack["stored_s"]
        }
        await socket.send_json({"event": "stop"})
        await receive_until(socket, "stopped")


async def _serve(tmp_path: Path, aiohttp_client: AiohttpClient) -> TestClient[object, object]:
    gateway = Gateway.from_config(build_config(tmp_path))
    client: TestClient[object, object] = await aiohttp_client(create_app(gateway))
    assert isinstance(client.server, TestServer)
    return client
