"""The echo provider keeps the provider contract."""

from __future__ import annotations

import pytest

from sttgate.testing import ProviderTests
from sttgate_echo import Echo, EchoOptions


class TestCounting(ProviderTests):
    @pytest.fixture
    def provider(self) -> Echo:
        return Echo(EchoOptions())


class TestScript(ProviderTests):
    @pytest.fixture
    def provider(self) -> Echo:
        return Echo(EchoOptions(script=("one two three", "four five"), pause=0.2))
