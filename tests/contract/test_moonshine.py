"""The local engine keeps the provider contract, on real speech."""

from __future__ import annotations

import wave
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
import soxr

from sttgate.testing import ProviderTests
from sttgate_moonshine import MoonshineOptions, MoonshineProvider

SECONDS = 3.4  # the first clause of the reading and the pause after it


@cache
def reading() -> bytes:
    """Return the beginning of the reading in the moonshine-voice package, 16 kHz mono."""
    spec = find_spec("moonshine_voice")
    assert spec is not None
    assert spec.submodule_search_locations
    with wave.open(f"{spec.submodule_search_locations[0]}/assets/two_cities.wav") as file:
        rate = file.getframerate()
        pcm = np.frombuffer(file.readframes(round(SECONDS * rate)), "<i2")
    return bytes(soxr.resample(pcm, rate, 16_000).astype("<i2").tobytes())


class TestMoonshine(ProviderTests):
    patience = 30.0

    @pytest.fixture
    def provider(self) -> MoonshineProvider:
        return MoonshineProvider(MoonshineOptions(workers=2))

    @pytest.fixture
    def speech(self) -> bytes:
        return reading()
