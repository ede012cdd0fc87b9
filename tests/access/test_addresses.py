"""Whose address it is, and how often it may."""

from __future__ import annotations

import time
from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request

from sttgate.access import addresses
from sttgate.access.addresses import Allowance, client_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("remote", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:9:9:9:9", [], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("", [], "local"),
    ],
)
def test_addresses(remote: str, forwarded: list[str], address: str) -> None:
    """Only listed proxies are believed, and only up to the first address that is none of them."""
    request = make_mocked_request("GET", "/", [("X-Forwarded-For", v) for v in forwarded])
    assert client_address(request.clone(remote=remote), PROXIES) == address


def test_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key may do as many at once as a minute allows, then one as often as they come back."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    allowance = Allowance(6)
    for _ in range(6):
        assert allowance.wait("a") == 0
        allowance.take("a")
    assert allowance.wait("a") == pytest.approx(10)
    assert allowance.wait("b") == 0
    now += 4
    assert allowance.wait("a") == pytest.approx(6)
    now += 6
    assert allowance.wait("a") == 0


def test_allowances_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses without number cost no memory without bound."""
    monkeypatch.setattr(addresses, "_MAX_KEYS", 100)
    allowance = Allowance(1)
    for number in range(1000):
        allowance.take(str(number))
    assert len(allowance._buckets) == 100
    assert allowance.wait("999") > 0
    assert allowance.wait("0") == 0
