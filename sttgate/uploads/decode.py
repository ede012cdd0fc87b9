"""``python -m sttgate.uploads.decode``: a media file on standard input, PCM on standard output.

Takes ``measure`` or ``decode``, the seconds of audio and the seconds of CPU it may need. The first line
of the output is a JSON object: the format and, when measured, the number of frames, or an error. It
runs in a cage, for the file may be anybody's; only audio is decoded, of formats that hold all they
have themselves.
"""

from __future__ import annotations

import io
import json
import os
import sys
import wave
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from sttgate.uploads.cage import leave_network, lock_in

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream
    from av.container import InputContainer

FORMATS = "aac,ac3,aiff,amr,amrnb,amrwb,asf,au,caf,eac3,flac,m4a,matroska,mov,mp3,mp4,ogg,tta,w64,wav,webm,wv"
CODECS = (
    "aac,aac_fixed,ac3,adpcm_ima_wav,adpcm_ms,alac,amrnb,amrwb,eac3,flac,gsm,gsm_ms,libopus,mp2,mp2float,"
    "mp3,mp3float,opus,pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,"
    "pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,speex,tta,vorbis,wavpack,wmav1,wmav2"
)
LOWEST_RATE, HIGHEST_RATE = 8_000, 48_000  # as in sttgate.audio, which would take long to import
SAMPLE_BYTES = 2
_MAX_DAMAGE = 1000  # packets that cannot be decoded, until the whole file is refused


class Unusable(Exception):
    """The file cannot be used; says why in one word."""


def main() -> int:
    """Run; return the exit code."""
    task, max_seconds, cpu_seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    leave_network()
    import av

    _warm_up()
    lock_in(cpu_seconds)
    try:
        with _open(sys.stdin.buffer) as container:
            if task == "measure":
                _measure(container, max_seconds)
            else:
                _decode(container, max_seconds)
    except Unusable as error:
        return _give_up(str(error))
    except (av.FFmpegError, ValueError, MemoryError):
        return _give_up("unknown")
    return 0


def _open(file: BinaryIO) -> InputContainer:
    import av

    options = {
        "protocol_whitelist": "none",  # playlists and the like lead nowhere
        "format_whitelist": FORMATS,
        "codec_whitelist": CODECS,
    }
    return av.open(file, mode="r", options=options)


def _warm_up() -> None:
    """Decode a moment of silence, so that all is imported before nothing can be opened any more."""
    silence = io.BytesIO()
    with wave.open(silence, "wb") as file:
        file.setparams((2, SAMPLE_BYTES, LOWEST_RATE, 0, "NONE", ""))
        file.writeframes(bytes(4 * 800))
    silence.seek(0)
    with _open(silence) as container:
        for _ in _frames(container, 1.0):
            pass


def _measure(container: InputContainer, max_seconds: float) -> None:
    rate = channels = frames = 0
    for frame in _frames(container, max_seconds):
        rate, channels = frame.sample_rate, frame.layout.nb_channels
        frames += frame.samples
    if not frames:
        raise Unusable("no_audio")
    _say({"sample_rate": rate, "channels": channels, "frames": frames})


def _decode(container: InputContainer, max_seconds: float) -> None:
    begun = False
    for frame in _frames(container, max_seconds):
        size = frame.samples * frame.layout.nb_channels * SAMPLE_BYTES
        if not begun:
            begun = True
            _say({"sample_rate": frame.sample_rate, "channels": frame.layout.nb_channels})
        _write(bytes(frame.planes[0])[:size])
    if not begun:
        raise Unusable("no_audio")


def _frames(container: InputContainer, max_seconds: float) -> Iterator[AudioFrame]:
    """Yield what there is as interleaved 16-bit samples, mono or stereo, up to ``max_seconds``."""
    from av import AudioResampler

    if not container.streams.audio:
        raise Unusable("no_audio")
    stream = container.streams.audio[0]
    if stream.codec_context is None or stream.codec_context.name not in CODECS.split(","):
        raise Unusable("codec")
    stream.codec_context.thread_count = 1
    resampler: AudioResampler | None = None
    source: tuple[str, str, int] | None = None
    layout, rate, seconds = "", 0, 0.0
    for frame in _decoded(container, stream):
        if not rate:
            rate = min(max(frame.sample_rate, LOWEST_RATE), HIGHEST_RATE)
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or shape != source:  # a stream may change its shape half way through
            if resampler is not None:
                yield from resampler.resample(None)
            resampler, source = AudioResampler("s16", layout, rate), shape
        frame.pts = None
        for out in resampler.resample(frame):
            yield out
            seconds += out.samples / rate
            if seconds > max_seconds:
                return
    if resampler is not None:
        yield from resampler.resample(None)


def _decoded(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Yield the frames of a stream; go on after a damaged packet, end where a file is cut off."""
    from av import FFmpegError

    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            packet = None
        if packet is None:
            return
        try:
            yield from packet.decode()
        except FFmpegError as error:
            damaged += 1
            if damaged > _MAX_DAMAGE:
                raise Unusable("unknown") from error


def _say(report: dict[str, object]) -> None:
    _write(json.dumps(report).encode() + b"\n")


def _give_up(reason: str) -> int:
    _say({"error": reason})
    return 1


def _write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    sys.exit(main())
