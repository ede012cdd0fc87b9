"""The audio of one stream that is still needed."""

from __future__ import annotations

from sttgate.voice.segmenter import FRAME

_SAMPLE_BYTES = 2


class Tape:
    """16-bit mono PCM, addressed by samples since the stream began; ``end`` is how much has come."""

    def __init__(self) -> None:
        self.end = 0
        self._start = 0
        self._pcm = bytearray()

    def append(self, pcm: bytes) -> None:
        """Add whole samples."""
        self._pcm += pcm
        self.end += len(pcm) // _SAMPLE_BYTES

    def read(self, start: int, end: int) -> bytes:
        """Return the PCM from ``start`` to ``end``; both must still be there."""
        return bytes(
            self._pcm[_SAMPLE_BYTES * (start - self._start) : _SAMPLE_BYTES * (end - self._start)]
        )

    def frame(self, start: int) -> bytes | None:
        """Return the frame that begins at ``start``, None while it is incomplete."""
        return self.read(start, start + FRAME) if start + FRAME <= self.end else None

    def forget(self, before: int) -> None:
        """Let go of everything before ``before``."""
        if before > self._start:
            del self._pcm[: _SAMPLE_BYTES * (before - self._start)]
            self._start = before
