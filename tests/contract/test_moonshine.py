"""The local engine keeps the provider contract, on real speech."""

from __future__ import annotations

import pytest

from sttgate.testing import ProviderTests
from sttgate_moonshine import MoonshineOptions, MoonshineProvider
from tests.speech import clause


class TestMoonshine(ProviderTests):
    patience = 30.0

    @pytest.fixture
    def provider(self) -> MoonshineProvider:
        return MoonshineProvider(MoonshineOptions(workers=2))

    @pytest.fixture
    def speech(self) -> bytes:
        return clause()
