"""Whisper keeps the provider contract, on real speech."""

from __future__ import annotations

import pytest

from sttgate.testing import ProviderTests
from sttgate_whisper import WhisperOptions, WhisperProvider
from tests.speech import SECOND, clause, whisper_model


class TestWhisper(ProviderTests):
    patience = 30.0

    @pytest.fixture
    def provider(self) -> WhisperProvider:
        model = str(whisper_model())
        return WhisperProvider(WhisperOptions(model=model, compute_type="int8", workers=2))

    @pytest.fixture
    def speech(self) -> bytes:
        return clause()[: 3 * SECOND]
