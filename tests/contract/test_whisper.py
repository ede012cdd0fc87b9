"""Whisper keeps the provider contract, on real speech."""

from __future__ import annotations

import pytest

from sttgate.testing import ProviderTests
from sttgate_whisper import WhisperOptions, WhisperProvider
from tests.speech import clause, whisper_model


class TestWhisper(ProviderTests):
    patience = 30.0

    @pytest.fixture
    def provider(self) -> WhisperProvider:
        return WhisperProvider(WhisperOptions(model=str(whisper_model()), workers=2))

    @pytest.fixture
    def speech(self) -> bytes:
        return clause()
