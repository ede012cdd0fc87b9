"""Media files, made here, and files that only look like some."""

from __future__ import annotations

import io
import struct
from array import array
from collections.abc import Iterator

import av

from sttgate.audio import AudioFormat, wav_header
from sttgate.testing import tone

KINDS = {
    "flac": ("flac", "flac", "s16", 16_000),
    "ogg": ("ogg", "libopus", "s16", 48_000),
    "webm": ("webm", "libopus", "s16", 48_000),
    "mp3": ("mp3", "libmp3lame", "s16p", 16_000),
    "m4a": ("ipod", "aac", "fltp", 16_000),
    "mkv": ("matroska", "pcm_s16le", "s16", 16_000),
}
"""By ending: container, codec, its sample format and rate."""


def encode(kind: str, pcm: bytes, *, layout: str = "mono") -> bytes:
    """Return 16 kHz PCM as a media file."""
    return encode_all(kind, iter([pcm]), 16_000, layout)


def encode_all(kind: str, pieces: Iterator[bytes], rate: int, layout: str = "mono") -> bytes:
    """Return pieces of PCM as a media file."""
    container_name, codec, sample_format, codec_rate = KINDS[kind]
    file = io.BytesIO()
    with av.open(file, "w", format=container_name) as container:
        stream = container.add_stream(codec, rate=codec_rate, layout=layout)
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(sample_format, layout, codec_rate)
        fifo = av.AudioFifo()
        for pcm in pieces:
            frame = av.AudioFrame(
                format="s16", layout=layout, samples=len(pcm) // 2 // (1 + (layout == "stereo"))
            )
            frame.sample_rate = rate
            frame.planes[0].update(pcm)
            for out in resampler.resample(frame):
                fifo.write(out)
            size = stream.codec_context.frame_size or 4096
            for block in fifo.read_many(size):
                container.mux(stream.encode(block))
        for out in resampler.resample(None):
            fifo.write(out)
        if (rest := fifo.read(partial=True)) is not None:
            container.mux(stream.encode(rest))
        container.mux(stream.encode(None))
    return file.getvalue()


def wav(pcm: bytes, audio_format: AudioFormat | None = None, size: int | None = None) -> bytes:
    """Return PCM as a WAV file whose header claims ``size`` bytes, else the truth."""
    return wav_header(audio_format or AudioFormat(), len(pcm) if size is None else size) + pcm


def float_wav(seconds: float) -> bytes:
    """Return a tone as a WAV file of floating-point samples."""
    samples = array("f", [value / 32768 for value in array("h", tone(seconds))]).tobytes()
    fields = struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16)
        + fields
        + struct.pack("<4sI", b"data", len(samples))
        + samples
    )


def silent_flac(seconds: float) -> bytes:
    """Return silence without end, as the few bytes that it is."""
    return encode_all("flac", (bytes(32_000) for _ in range(int(seconds))), 16_000)
