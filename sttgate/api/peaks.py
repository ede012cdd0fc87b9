"""The outline of a recording, for drawing it: the quietest and the loudest sample of each piece."""

from __future__ import annotations

import asyncio
import io
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from sttgate.api.models import AnswerModel, Seconds
from sttgate.audio import SAMPLE_BYTES
from sttgate.errors import StoreError
from sttgate.stores import Recording, RecordingStore
from sttgate.wav import WavError, WavFile

_HEADER = 64 * 1024  # bytes the header of a recording is looked for in
_STEP = 1024 * 1024  # bytes that are worth a visit to another thread
_FULL_SCALE = 32768
_AT_ONCE = 2
_KEPT = 32


class Peaks(AnswerModel):
    """The outline of a recording."""

    duration: Seconds
    """Its length."""
    channels: list[list[tuple[float, float]]]
    """For each channel the pieces in order, each with its lowest and highest sample, from -1 to 1.
    There are as many as were asked for, fewer if the recording has not as many samples."""


class PeakReader:
    """Computes outlines, a few at a time, and keeps the ones that were asked for last."""

    def __init__(self, recordings: RecordingStore) -> None:
        self._recordings = recordings
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._known: OrderedDict[Hashable, bytes] = OrderedDict()

    async def read(self, recording: Recording, pieces: int) -> bytes:
        """Return ``Peaks`` as JSON; raises StoreError."""
        key = (recording.session_id, recording.size, pieces)
        if key not in self._known:
            async with self._turns:
                if key not in self._known:  # by one who waited before
                    self._known[key] = await self._compute(recording, pieces)
        self._known.move_to_end(key)
        known = self._known[key]
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return known

    async def _compute(self, recording: Recording, pieces: int) -> bytes:
        session_id = recording.session_id
        head = io.BytesIO()
        async for block in self._recordings.read(session_id, 0, min(_HEADER, recording.size)):
            head.write(block)
        head.seek(0)
        try:
            wav = WavFile(head, f"the recording of session {session_id}")
        except WavError as error:
            raise StoreError(str(error)) from error
        start, stop = head.tell(), recording.size
        if wav.seconds is not None:
            stop = min(stop, start + wav.format.bytes(wav.seconds))
        channels = wav.format.channels
        outline = Outline((stop - start) // wav.format.frame_bytes, channels, pieces)
        waiting = bytearray()
        async for block in self._recordings.read(session_id, start, stop):
            waiting += block
            if len(waiting) >= _STEP:
                whole = len(waiting) - len(waiting) % wav.format.frame_bytes
                await asyncio.to_thread(outline.add, bytes(waiting[:whole]))
                del waiting[:whole]
        await asyncio.to_thread(outline.add, bytes(waiting))
        duration = outline.frames / wav.format.sample_rate
        return await asyncio.to_thread(
            lambda: Peaks(duration=duration, channels=outline.channels()).model_dump_json().encode()
        )


class Outline:
    """Takes 16-bit PCM piece by piece; ``frames`` is how many there will be, one sample a channel."""

    def __init__(self, frames: int, channels: int, pieces: int) -> None:
        self.frames = frames
        count = min(pieces, frames)
        self._channels = channels
        self._edges = np.arange(count + 1, dtype=np.int64) * frames // max(1, count)
        self._low = np.full((count, channels), np.iinfo(np.int16).max, np.int16)
        self._high = np.full((count, channels), np.iinfo(np.int16).min, np.int16)
        self._done = 0

    def add(self, pcm: bytes) -> None:
        """Take more; what is no whole frame, or beyond the end, does not count."""
        whole = len(pcm) - len(pcm) % (SAMPLE_BYTES * self._channels)
        frames = np.frombuffer(pcm[:whole], "<i2").reshape(-1, self._channels)
        frames = frames[: self.frames - self._done]
        if not len(frames):
            return
        first, last = (
            int(np.searchsorted(self._edges, at, "right")) - 1
            for at in (self._done, self._done + len(frames) - 1)
        )
        starts = np.maximum(self._edges[first : last + 1] - self._done, 0)
        here = slice(first, last + 1)
        self._low[here] = np.minimum(self._low[here], np.minimum.reduceat(frames, starts))
        self._high[here] = np.maximum(self._high[here], np.maximum.reduceat(frames, starts))
        self._done += len(frames)

    def channels(self) -> list[list[tuple[float, float]]]:
        """Return for each channel the lowest and highest sample of each piece, from -1 to 1."""
        seen = slice(0, int(np.searchsorted(self._edges, self._done)))
        return [
            list(zip(_scaled(self._low[seen, n]), _scaled(self._high[seen, n]), strict=True))
            for n in range(self._channels)
        ]


def _scaled(samples: NDArray[np.int16]) -> list[float]:
    scaled: list[float] = np.round(samples / _FULL_SCALE, 4).tolist()
    return scaled
