"""Reading WAV files: the one container the gateway's own tools take.

The standard library's ``wave`` is not used: what it understands and says depends on the version of
Python, and it believes sizes that a header written into a pipe cannot know.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sttgate.audio import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, SAMPLE_BYTES, AudioFormat
from sttgate.errors import SttgateError

_MAX_CHANNELS = 8
_PCM, _EXTENSIBLE = 1, 0xFFFE
_ENCODINGS = {3: "floating-point samples", 6: "A-law", 7: "mu-law", 0x55: "MP3"}
_UNKNOWN_SIZE = 0x7FFFFF00  # what cannot be known is written as 0, or as nearly 2 or 4 GiB
_LONGEST_FORMAT = 4096
_BLOCK = 64 * 1024


STDIN = "standard input"


class WavError(SttgateError):
    """A file is no WAV that can be read; the sentence says why and what to do."""


class WavFile:
    """16-bit PCM from an open WAV file, which need not be seekable. WavError for anything else.

    ``format`` is that of the samples, ``seconds`` the length the header claims, None if it does not
    tell; ``data_start`` where they begin, in bytes; ``missing`` how many seconds were not there once
    ``chunks`` has ended.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.missing = 0.0
        self._taken = 0
        self._file = file
        self._name = name
        start = self._read(12)
        if not start:
            raise WavError(f"{name}: is empty; record it again")
        if len(start) < 12 or start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
            raise self._error("is not a WAV file")
        self.format = self._read_format()
        size = self._seek_chunk(b"data")
        self.data_start = self._taken
        self._size = None if size == 0 or size >= _UNKNOWN_SIZE else size
        self.seconds = None if self._size is None else self.format.seconds(self._size)

    def chunks(self, seconds: float) -> Iterator[bytes]:
        """Yield the PCM in whole frames, pieces of ``seconds``; a truncated file ends where it ends."""
        step, done = self.format.bytes(seconds), 0
        while self._size is None or done < self._size:
            pcm = self._read(step if self._size is None else min(step, self._size - done))
            done += len(pcm)
            if pcm := pcm[: len(pcm) - len(pcm) % self.format.frame_bytes]:
                yield pcm
            else:
                break
        if self._size is not None:
            self.missing = self.format.seconds(self._size - done)

    def _read(self, size: int) -> bytes:
        """Read ``size`` bytes, fewer only at the end of the file."""
        parts = []
        try:
            while size and (part := self._file.read(size)):
                parts.append(part)
                size -= len(part)
                self._taken += len(part)
        except OSError as error:
            raise _unreadable(self._name, error) from error
        return b"".join(parts)

    def _read_format(self) -> AudioFormat:
        size = self._seek_chunk(b"fmt ")
        fields = self._read(size + size % 2) if size <= _LONGEST_FORMAT else b""
        if len(fields) < 16:
            raise self._error("has a damaged header")
        encoding, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", fields)
        if encoding == _EXTENSIBLE and len(fields) >= 26:
            (encoding,) = struct.unpack_from("<H", fields, 24)
        if encoding != _PCM:
            kind = _ENCODINGS.get(encoding, f"encoding {encoding}")
            raise self._error(f"has {kind}, not 16-bit PCM")
        if bits != 8 * SAMPLE_BYTES:
            raise self._error(f"has {bits}-bit samples, not 16")
        if not MIN_SAMPLE_RATE <= rate <= MAX_SAMPLE_RATE:
            limits = f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE}"
            raise self._error(f"has {rate} samples a second, not {limits}")
        if not 1 <= channels <= _MAX_CHANNELS:
            raise self._error(f"has {channels} channels, not 1 to {_MAX_CHANNELS}")
        return AudioFormat(rate, channels)

    def _seek_chunk(self, wanted: bytes) -> int:
        """Read up to the content of the next chunk named ``wanted``; return its size in bytes."""
        while True:
            header = self._read(8)
            if len(header) < 8:
                raise self._error("ends within its header")
            name, size = struct.unpack("<4sI", header)
            if name == wanted:
                return int(size)
            left = size + size % 2
            while left and (block := self._read(min(left, _BLOCK))):
                left -= len(block)

    def _error(self, problem: str) -> WavError:
        source = "FILE" if self._name == STDIN else Path(self._name).name
        convert = f"ffmpeg -i {source} -ar 16000 -ac 1 -c:a pcm_s16le out.wav"
        return WavError(f"{self._name}: {problem}; convert it first: {convert}")


@contextmanager
def open_wav(path: Path) -> Iterator[WavFile]:
    """Open a WAV file, or standard input for the path ``-``. Raises WavError."""
    piped = str(path) == "-"
    if piped and os.isatty(0):
        raise WavError("there is nothing on standard input; pipe a WAV file into the command")
    try:
        # No buffer: a thread that waits for a pipe must not hold a lock the exit of Python needs.
        file = open(0 if piped else path, "rb", buffering=0, closefd=not piped)  # noqa: SIM115
    except OSError as error:
        raise _unreadable(STDIN if piped else str(path), error) from error
    with file:
        yield WavFile(file, STDIN if piped else str(path))


def _unreadable(name: str, error: OSError) -> WavError:
    return WavError(f"{name}: cannot be read: {error.strerror or error}")
