"""PCM audio: its format, the WAV container around it, and conversion to what a provider takes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import soxr

SAMPLE_BYTES = 2
MIN_SAMPLE_RATE = 8_000
MAX_SAMPLE_RATE = 48_000
WAV_HEADER_BYTES = 44
_UNKNOWN_SIZE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Linear PCM, signed 16-bit little-endian, channels interleaved.

    A *frame* is one sample of each channel; the session clock counts frames.
    """

    sample_rate: int = 16_000
    channels: int = 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return SAMPLE_BYTES * self.channels

    @property
    def bytes_per_second(self) -> int:
        """Bytes of one second of audio."""
        return self.frame_bytes * self.sample_rate

    def seconds(self, size: int) -> float:
        """Return how long ``size`` bytes last."""
        return size / (SAMPLE_BYTES * self.channels * self.sample_rate)

    def bytes(self, seconds: float) -> int:
        """Return the size of ``seconds`` of audio, rounded to a whole frame."""
        return round(seconds * self.sample_rate) * SAMPLE_BYTES * self.channels


def wav_header(audio_format: AudioFormat, data_bytes: int | None = None) -> bytes:
    """Return the 44-byte RIFF/WAVE header for ``data_bytes`` of PCM.

    None, or more than a 32-bit size can say, writes 0xFFFFFFFF, the convention for "until the end
    of the file" that players and ffmpeg follow: a file cut off at any moment still plays.
    """
    if data_bytes is None or data_bytes + WAV_HEADER_BYTES - 8 > _UNKNOWN_SIZE:
        data_size = riff_size = _UNKNOWN_SIZE
    else:
        data_size, riff_size = data_bytes, data_bytes + WAV_HEADER_BYTES - 8
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        riff_size,
        b"WAVE",
        b"fmt ",
        16,
        1,
        audio_format.channels,
        audio_format.sample_rate,
        audio_format.bytes_per_second,
        audio_format.frame_bytes,
        8 * SAMPLE_BYTES,
        b"data",
        data_size,
    )


class Converter:
    """Turns a stream of PCM into mono PCM at another rate: one channel of it, or all mixed.

    ``channel`` None mixes. Resampling is soxr's, high quality; its delay (21 ms at 48 kHz, 66 ms at
    8 kHz) is made up for at ``flush``, so times stay those of the source.
    """

    def __init__(self, source: AudioFormat, channel: int | None, sample_rate: int) -> None:
        self._source = source
        self._channel = channel
        self._sample_rate = sample_rate
        self._resampler = self._new_resampler()
        self.is_identity = source.channels == 1 and self._resampler is None
        """``is_identity``: whether nothing needs to be done."""

    def convert(self, pcm: bytes) -> bytes:
        """Return what is ready after ``pcm`` (whole frames); may be empty or lag a little."""
        if self.is_identity:
            return pcm
        samples = np.frombuffer(pcm, "<i2")
        if self._source.channels > 1:
            frames = samples.reshape(-1, self._source.channels)
            if self._channel is None:
                samples = frames.mean(axis=1).astype("<i2")
            else:
                samples = np.ascontiguousarray(frames[:, self._channel])
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        return samples.tobytes()

    def flush(self) -> bytes:
        """Return what is still inside; the next ``convert`` starts afresh."""
        if self._resampler is None:
            return b""
        rest: bytes = self._resampler.resample_chunk(np.zeros(0, "<i2"), last=True).tobytes()
        self._resampler = self._new_resampler()
        return rest

    def _new_resampler(self) -> soxr.ResampleStream | None:
        if self._source.sample_rate == self._sample_rate:
            return None
        return soxr.ResampleStream(self._source.sample_rate, self._sample_rate, 1, dtype="int16")
