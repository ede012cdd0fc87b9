"""The decoder, seen from outside: another process, which is given a file and gives samples.

Files come from strangers, and decoders have bugs: what goes wrong in there stays in there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import msgspec
import structlog

from sttgate.audio import AudioFormat
from sttgate.errors import ErrorCode, RequestError
from sttgate.uploads.whole import whole

log = structlog.get_logger(__name__)

BLOCK = 128 * 1024  # bytes read at a time
START_CPU = 20.0  # seconds of CPU for starting and for finding out what it is
CPU_PER_SECOND = 0.05  # of audio: ten times what the dearest codec takes on a slow machine
READ_TIMEOUT = 60.0  # seconds without a sample
INSTALL = "pip install 'sttgate[uploads]'"
_KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV")
_SENTENCES = {
    "unknown": "This is no audio file that is known here, or it is damaged.",
    "no_audio": "There is no audio in this file.",
    "codec": "The audio of this file is in a form that is not taken here.",
}


class _Report(msgspec.Struct):
    """What the other process says first: the format, and the number of frames if it measured."""

    error: str = ""
    sample_rate: int = 0
    channels: int = 0
    frames: int = 0


Read = Callable[[], Awaitable[bytes]]
"""Returns the next samples, whole frames; none at the end."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a file turned out to be."""

    format: AudioFormat
    seconds: float


def can_decode() -> bool:
    """Whether there is a decoder for anything but WAV."""
    return find_spec("av") is not None


class Decoder:
    """Decodes one file; at most ``max_seconds`` of it come out. RequestError if it is no audio."""

    def __init__(self, path: Path, max_seconds: float) -> None:
        self._path = path
        self._max_seconds = max_seconds
        self._cpu = START_CPU + CPU_PER_SECOND * max_seconds

    async def measure(self) -> Measured:
        """Decode all of it once, to know that it can be done, and how long it is."""
        async with self._run("measure") as process:
            report = await self._report(process, 3 * self._cpu)
        audio_format = AudioFormat(report.sample_rate, report.channels)
        return Measured(audio_format, report.frames / report.sample_rate)

    @asynccontextmanager
    async def decode(self, audio_format: AudioFormat) -> AsyncIterator[Read]:
        """Yield a function that returns the next samples; they have the format ``measure`` told."""
        async with self._run("decode") as process:
            report = await self._report(process, READ_TIMEOUT)
            if AudioFormat(report.sample_rate, report.channels) != audio_format:
                raise _refusal("unknown")
            yield partial(self._read, process, audio_format.bytes(1.0))

    async def _read(self, process: Process, size: int) -> bytes:
        assert process.stdout is not None
        try:
            return await self._within(READ_TIMEOUT, process.stdout.readexactly(size))
        except asyncio.IncompleteReadError as error:
            if error.partial:
                return error.partial
        if await process.wait() != 0:
            raise _refusal("unknown")
        return b""

    async def _report(self, process: Process, timeout: float) -> _Report:
        assert process.stdout is not None
        try:
            line = await self._within(timeout, process.stdout.readline())
            report = msgspec.json.decode(line, type=_Report)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            # It died, perhaps of a limit: that is what they are for.
            log.warning("decoder_died", code=process.returncode)
            raise _refusal("unknown") from error
        if report.error or not (0 < report.channels <= 2 and 8_000 <= report.sample_rate <= 48_000):
            raise _refusal(report.error)
        return report

    async def _within(self, timeout: float, reading: Awaitable[bytes]) -> bytes:
        try:
            async with asyncio.timeout(timeout):
                return await reading
        except TimeoutError:
            log.warning("decoder_too_slow")
            raise _refusal("unknown") from None

    @asynccontextmanager
    async def _run(self, task: str) -> AsyncIterator[Process]:
        if not can_decode():
            message = f"Only WAV files are taken here; for others the operator needs: {INSTALL}"
            raise RequestError(ErrorCode.UNSUPPORTED_ENCODING, message)
        with (
            await whole(
                asyncio.to_thread(open, self._path, "rb"), lambda file: file.close()
            ) as body,
            tempfile.TemporaryDirectory(prefix="sttgate-") as nowhere,
        ):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "sttgate.uploads.decode", task),
                *(str(self._max_seconds), str(self._cpu)),
                stdin=body,
                stdout=PIPE,
                stderr=DEVNULL,
                cwd=nowhere,
                env={name: os.environ[name] for name in _KEPT if name in os.environ},  # no secrets
                limit=BLOCK,
            )
            try:
                yield process
            finally:
                await whole(_put_away(process))


async def _put_away(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    assert process.stdout is not None
    while await process.stdout.read(BLOCK):  # or its end would never be noticed
        pass
    await process.wait()


def _refusal(reason: str) -> RequestError:
    sentence = _SENTENCES.get(reason, _SENTENCES["unknown"])
    return RequestError(ErrorCode.UNSUPPORTED_ENCODING, sentence)
