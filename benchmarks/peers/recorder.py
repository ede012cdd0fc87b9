"""The same job with nothing to keep it from losing something: the floor for a gateway in Python.

Hears sessions on the wire of sttgate's protocol 1, has Deepgram's live wire hear them, reads the
transcripts with msgspec and sends them on, appends the audio to files from a thread each 0.2 s, and
writes the finals to SQLite in one transaction a second. No session that outlives a provider or a
process, nothing is checked, numbered or put on a clock, no keys, no limits, no metrics, no plugins.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import sqlite3
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import aiohttp
import msgspec
import uvloop
from aiohttp import WSMsgType, web

from sttgate.audio import AudioFormat, wav_header

T = TypeVar("T")
_FLUSH_SECONDS = 0.2
_COMMIT_SECONDS = 1.0
_FORMAT = AudioFormat(16000, 1)


class _Alternative(msgspec.Struct):
    transcript: str


class _Channel(msgspec.Struct):
    alternatives: list[_Alternative]


class _Results(msgspec.Struct, tag="Results"):
    channel: _Channel
    is_final: bool = False


class _Metadata(msgspec.Struct, tag="Metadata"):
    pass


class _Transcript(msgspec.Struct, tag_field="event", tag="transcript"):
    text: str
    is_final: bool


class _Stopped(msgspec.Struct, tag_field="event", tag="stopped"):
    full_transcription: str


_decode = msgspec.json.Decoder(_Results | _Metadata).decode
_encode = msgspec.json.Encoder().encode


class Disk:
    """The files and the database of all sessions, written by one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1)
        self._audio: dict[IO[bytes], list[bytes]] = {}
        self._finals: list[tuple[str, str]] = []
        self._database = sqlite3.connect(folder / "recorder.db", check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("CREATE TABLE finals (session TEXT, text TEXT)")

    async def open(self, session: str) -> IO[bytes]:
        """Return a new recording."""

        def create() -> IO[bytes]:
            file = open(self._folder / f"{session}.wav", "wb", buffering=0)  # noqa: SIM115
            file.write(wav_header(_FORMAT))
            return file

        return await self._run(create)

    def append(self, file: IO[bytes], audio: bytes) -> None:
        """Have audio written soon."""
        if (pieces := self._audio.get(file)) is None:
            self._audio[file] = [audio]
        else:
            pieces.append(audio)

    def add_final(self, session: str, text: str) -> None:
        """Have a final stored soon."""
        self._finals.append((session, text))

    async def finish(self, file: IO[bytes], size: int) -> None:
        """Write what is left of a recording of ``size`` bytes and close it."""
        rest = self._audio.pop(file, [])

        def end() -> None:
            self._write({file: rest})
            file.seek(0)
            file.write(wav_header(_FORMAT, size))
            file.close()

        await self._run(end)

    async def run(self) -> None:
        """Write what has come, for ever."""
        flushes = 0
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            audio, self._audio = self._audio, {}
            await self._run(partial(self._write, audio))
            flushes += 1
            if flushes * _FLUSH_SECONDS >= _COMMIT_SECONDS:
                flushes, finals, self._finals = 0, self._finals, []
                await self._run(partial(self._commit, finals))

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    def _write(self, audio: dict[IO[bytes], list[bytes]]) -> None:
        for file, pieces in audio.items():
            file.write(b"".join(pieces))

    def _commit(self, finals: list[tuple[str, str]]) -> None:
        with self._database:
            self._database.executemany("INSERT INTO finals VALUES (?, ?)", finals)


class Server:
    """The handler, and what it shares."""

    def __init__(self, upstream: str, http: aiohttp.ClientSession, disk: Disk) -> None:
        self._upstream = upstream
        self._http = http
        self._disk = disk

    async def listen(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one session."""
        disk, session, size = self._disk, str(uuid.uuid4()), 0
        texts: list[str] = []
        client = web.WebSocketResponse(compress=False, heartbeat=10.0)
        await client.prepare(request)
        if (await client.receive()).type is not WSMsgType.TEXT:
            return client
        file = await disk.open(session)
        url = f"{self._upstream}/v1/listen?encoding=linear16&sample_rate=16000&interim_results=true"
        async with self._http.ws_connect(
            url, compress=0, heartbeat=10.0, decode_text=False
        ) as upstream:
            await client.send_str('{"event":"started"}')
            down = asyncio.create_task(self._down(session, upstream, client, texts))
            while (message := await client.receive()).type is WSMsgType.BINARY:
                size += len(message.data)
                disk.append(file, message.data)
                await upstream.send_bytes(message.data)
            await upstream.send_str('{"type":"CloseStream"}')
            await down
        await disk.finish(file, size)
        await client.send_str(_encode(_Stopped(" ".join(texts))).decode())
        await client.receive()
        return client

    async def _down(
        self,
        session: str,
        upstream: aiohttp.ClientWebSocketResponse[bool],
        client: web.WebSocketResponse,
        texts: list[str],
    ) -> None:
        while (message := await upstream.receive()).type is WSMsgType.TEXT:
            results = _decode(message.data)
            if isinstance(results, _Results):
                text = results.channel.alternatives[0].transcript
                if results.is_final:
                    texts.append(text)
                    self._disk.add_final(session, text)
                await client.send_str(_encode(_Transcript(text, results.is_final)).decode())


async def main(port: int, upstream: str, folder: Path) -> None:
    """Serve until SIGTERM."""
    disk = Disk(folder)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app = web.Application()
        app.router.add_get("/ws", Server(upstream, session, disk).listen)
        runner = web.AppRunner(app, access_log=None, handle_signals=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        gc.freeze()
        await disk.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt, web.GracefulExit):
        uvloop.run(main(given.port, given.upstream, given.folder))
