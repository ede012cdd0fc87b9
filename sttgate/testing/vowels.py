"""A sound that a voice activity detector takes for speech, for engines that do not hear a tone."""

from __future__ import annotations

import numpy as np

PITCH = 120.0  # Hz
VOWEL = 0.18  # seconds
FORMANTS = np.array([(700, 1220, 2600), (300, 2300, 3000), (500, 1000, 2500), (400, 2000, 2800)])
"""Hz; of the vowels in *father*, *see*, *more* and *say*, about."""
HARMONICS = 24


def voice(seconds: float, sample_rate: int = 16_000) -> bytes:
    """Return ``seconds`` of babble, mono: vowels without a meaning, one after the other."""
    at = np.arange(round(seconds * sample_rate)) / sample_rate
    pitch = PITCH * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * at))
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    formants = FORMANTS[(at / VOWEL).astype(int) % len(FORMANTS)]
    sound = np.zeros(len(at))
    for harmonic in range(1, HARMONICS + 1):
        distance = (harmonic * pitch[:, None] - formants) / (80 + 0.04 * formants)
        loudness = (1 / (1 + distance**2)).sum(axis=1) / np.sqrt(harmonic)
        sound += loudness * np.sin(harmonic * phase)
    sound *= 0.35 + 0.65 * np.abs(np.sin(np.pi * at / VOWEL))  # syllables
    loudest = np.abs(sound).max(initial=1e-9)
    return bytes((12_000 / loudest * sound).astype("<i2").tobytes())
