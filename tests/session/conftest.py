"""Short waits for tests of failures."""

from __future__ import annotations

import pytest

from sttgate.session import recognition


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notice stalls after 0.4 s instead of 10, and try again at once."""
    monkeypatch.setattr(recognition, "STALL_TIMEOUT", 0.4)
    monkeypatch.setattr(recognition, "_WATCH_INTERVAL", 0.05)
    monkeypatch.setattr(recognition, "_FIRST_RETRY", 0.01)
    monkeypatch.setattr(recognition, "_MAX_RETRY", 0.02)
    monkeypatch.setattr(recognition, "_CANCEL_TIMEOUT", 0.2)
