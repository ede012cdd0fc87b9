"""Sounds for the fake microphone, and where in them a recording lies."""

from __future__ import annotations

import wave
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

RATE = 16_000
Samples = NDArray[np.float64]


def write_reading(path: Path) -> Path:
    """Write the reading that comes inside the moonshine-voice package; return its path."""
    spec = find_spec("moonshine_voice")
    assert spec is not None
    assert spec.submodule_search_locations
    source = Path(spec.submodule_search_locations[0]) / "assets" / "two_cities.wav"
    path.write_bytes(source.read_bytes())
    return path


def write_silence(path: Path, seconds: float) -> Path:
    """Write digital silence; return its path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(2 * round(48_000 * seconds)))
    return path


def read_wav(path: Path) -> Samples:
    """Return a mono WAV file at 16 kHz, between -1 and 1."""
    with wave.open(str(path)) as file:
        rate = file.getframerate()
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    return np.asarray(soxr.resample(pcm, rate, RATE)) / 32768


def from_pcm(pcm: bytes) -> Samples:
    """Return 16-bit samples between -1 and 1."""
    return np.frombuffer(pcm, "<i2").astype(np.float64) / 32768


def find(piece: Samples, whole: Samples) -> tuple[int, float]:
    """Return where in ``whole`` a piece of it begins, in samples, and how well it fits there (0 to 1)."""
    size = 1 << (len(whole) + len(piece)).bit_length()
    products = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(piece, size)), size)
    products = products[: len(whole) - len(piece) + 1]
    energy = np.concatenate([[0.0], np.cumsum(whole**2)])
    energies = energy[len(piece) :] - energy[: -len(piece)]
    fits = products / np.sqrt(np.maximum(energies, 1e-9) * max(float(np.sum(piece**2)), 1e-9))
    at = int(np.argmax(fits))
    return at, float(fits[at])
