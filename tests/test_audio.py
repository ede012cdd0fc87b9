"""Formats, the WAV header, and conversion."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate.audio import WAV_HEADER_BYTES, AudioFormat, Converter, wav_header

DITHER = 2  # soxr rounds to 16 bits with a dither that is another one each time
_rates = st.sampled_from([8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])


def loudest_difference(one: bytes, other: bytes) -> int:
    """Return the largest difference between two samples of the same moment."""
    assert len(one) == len(other)
    samples = np.frombuffer(one, "<i2").astype(int) - np.frombuffer(other, "<i2")
    return int(np.abs(samples).max(initial=0))


def test_sizes_and_seconds_of_a_format() -> None:
    """A frame is a sample of each channel; sizes are whole frames."""
    stereo = AudioFormat(8000, 2)
    assert (stereo.frame_bytes, stereo.bytes_per_second) == (4, 32_000)
    assert stereo.seconds(16_000) == 0.5
    assert stereo.bytes(0.5) == 16_000
    assert stereo.bytes(0.00013) == 4


@given(rate=_rates, channels=st.integers(1, 8), frames=st.integers(0, 10**9))
def test_seconds_and_bytes_are_inverse(rate: int, channels: int, frames: int) -> None:
    """Positions survive the way through seconds, also after days of audio."""
    audio_format = AudioFormat(rate, channels)
    size = frames * audio_format.frame_bytes
    assert audio_format.bytes(audio_format.seconds(size)) == size


@given(rate=_rates, channels=st.integers(1, 8), frames=st.integers(0, 50))
def test_the_header_is_what_others_read(rate: int, channels: int, frames: int) -> None:
    """Python's own reader understands the header, with the true size and with none."""
    audio_format = AudioFormat(rate, channels)
    pcm = bytes(range(256))[: frames * audio_format.frame_bytes]
    pcm = pcm[: len(pcm) // audio_format.frame_bytes * audio_format.frame_bytes]
    for size in (len(pcm), None):
        header = wav_header(audio_format, size)
        assert len(header) == WAV_HEADER_BYTES
        with wave.open(io.BytesIO(header + pcm)) as reader:
            assert reader.getframerate() == rate
            assert reader.getnchannels() == channels
            assert reader.getsampwidth() == 2
            assert reader.getcomptype() == "NONE"
            assert reader.readframes(1000) == pcm


def test_a_recording_longer_than_the_header_can_say_plays_to_its_end() -> None:
    """Beyond 4 GiB both sizes say: until the end of the file."""
    unknown = wav_header(AudioFormat(), None)
    assert wav_header(AudioFormat(), 2**32 - 36) == unknown
    assert wav_header(AudioFormat(), 2**32 - 37) != unknown
    assert unknown[4:8] == unknown[40:44] == b"\xff\xff\xff\xff"


def test_what_needs_no_conversion_is_passed_on() -> None:
    """Mono at the right rate is the same object, not a copy."""
    converter = Converter(AudioFormat(), None, 16_000)
    pcm = b"abcd"
    assert converter.is_identity
    assert converter.convert(pcm) is pcm
    assert converter.flush() == b""


@settings(max_examples=60, deadline=None)
@given(
    source=_rates,
    target=_rates,
    channels=st.integers(1, 3),
    cuts=st.lists(st.integers(1, 4000), min_size=1, max_size=10),
    mix=st.booleans(),
)
def test_the_length_stays_whatever_the_pieces(
    source: int, target: int, channels: int, cuts: list[int], mix: bool
) -> None:
    """Converted in whatever pieces, audio keeps its length and its samples."""
    audio_format = AudioFormat(source, channels)
    frames = sum(cuts)
    noise = np.random.default_rng(frames).integers(-9000, 9000, frames * channels)
    pcm = noise.astype("<i2").tobytes()
    channel = None if mix else channels - 1

    def convert(sizes: list[int]) -> bytes:
        converter, at, result = Converter(audio_format, channel, target), 0, b""
        for size in sizes:
            end = at + size * audio_format.frame_bytes
            result += converter.convert(pcm[at:end])
            at = end
        return result + converter.flush()

    once, pieces = convert([frames]), convert(cuts)
    assert loudest_difference(once, pieces) <= DITHER
    assert abs(len(once) / 2 - frames * target / source) <= 1


def test_a_flushed_converter_starts_afresh() -> None:
    """After a flush nothing of what was before is heard, and an empty one has nothing to give."""
    converter = Converter(AudioFormat(48_000), None, 16_000)
    assert converter.flush() == b""
    pcm = np.full(4800, 5000, "<i2").tobytes()
    first = converter.convert(pcm) + converter.flush()
    assert converter.flush() == b""
    second = converter.convert(pcm) + converter.flush()
    assert loudest_difference(first, second) <= DITHER
    assert len(first) == 2 * 1600


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_silence_stays_silence(rate: int) -> None:
    """Conversion adds no noise that could be heard."""
    converter = Converter(AudioFormat(rate, 2), None, 16_000)
    silence = converter.convert(bytes(rate * 4)) + converter.flush()
    assert loudest_difference(silence, bytes(len(silence))) <= 1
