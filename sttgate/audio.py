"""PCM audio: its format, the WAV container around it, and conversion to what a provider takes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

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
        return size / self.bytes_per_second

    def bytes(self, seconds: float) -> int:
        """Return the size of ``seconds`` of audio, rounded to a whole frame."""
        return round(seconds * self.sample_rate) * self.frame_bytes


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
