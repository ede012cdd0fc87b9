"""What an uploaded file is, how long it is, and its samples."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sttgate.audio import AudioFormat
from sttgate.errors import ErrorCode, RequestError
from sttgate.uploads.decoder import Decoder, Read
from sttgate.uploads.whole import in_thread
from sttgate.wav import WavError, open_wav

STEP = 1.0  # seconds of audio handed over at a time
_TOO_LONG = "The audio is longer than {:g} minutes, which is the most that is taken here."


@dataclass(frozen=True, slots=True)
class Source(ABC):
    """PCM of ``seconds`` in ``format``, as it can be had from the file at ``path``."""

    path: Path
    format: AudioFormat
    seconds: float

    @abstractmethod
    def samples(self) -> AbstractAsyncContextManager[Read]:
        """Return the samples, to be entered; RequestError when the file cannot be decoded any further."""


async def open_source(path: Path, raw: AudioFormat | None, max_seconds: float) -> Source:
    """Return the audio of a file. RequestError if there is none, if it is too long or unknown."""
    source: Source | None
    if raw is not None:
        size = (await in_thread(path.stat)).st_size
        source = _Raw(path, raw, raw.seconds(size - size % raw.frame_bytes))
    else:
        source = await in_thread(_open_wav, path)
    if source is None:
        # A little more than may be, to tell what is too long.
        measured = await Decoder(path, max_seconds + STEP).measure()
        source = _Decoded(path, measured.format, measured.seconds)
    if source.seconds > max_seconds:
        raise RequestError(ErrorCode.MAX_DURATION, _TOO_LONG.format(max_seconds / 60))
    if source.seconds <= 0:
        raise RequestError(ErrorCode.BAD_REQUEST, "There is no audio in this file.")
    return source


class _Blocking(Source):
    """A source that is read in a thread."""

    @abstractmethod
    def _read(self) -> Generator[bytes, None, None]:
        """Yield the samples; blocks."""

    @asynccontextmanager
    async def samples(self) -> AsyncIterator[Read]:
        with closing(self._read()) as pieces:
            yield partial(in_thread, next, pieces, b"")


class _Raw(_Blocking):
    """Samples without a header."""

    def _read(self) -> Generator[bytes, None, None]:
        frame = self.format.frame_bytes
        with open(self.path, "rb") as file:
            while pcm := file.read(self.format.bytes(STEP)):
                yield pcm[: len(pcm) - len(pcm) % frame]


class _Wav(_Blocking):
    """16-bit PCM in a WAV file."""

    def _read(self) -> Generator[bytes, None, None]:
        with open_wav(self.path) as wav:
            yield from wav.chunks(STEP)


class _Decoded(Source):
    """Anything else, decoded by another process."""

    @asynccontextmanager
    async def samples(self) -> AsyncIterator[Read]:
        async with Decoder(self.path, self.seconds + STEP).decode(self.format) as read:
            yield read


def _open_wav(path: Path) -> Source | None:
    """Return a WAV file that needs no decoder, else None; its true length, whatever it claims."""
    try:
        with open_wav(path) as wav:
            there = wav.format.seconds(os.stat(path).st_size - wav.data_start)
            return _Wav(path, wav.format, there if wav.seconds is None else min(wav.seconds, there))
    except WavError:
        return None
