"""Whose address a request comes from, also behind proxies, and how often it may do something."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from aiohttp import web
from pydantic import IPvAnyNetwork

_NETWORK_PREFIX = 64  # what one customer of a provider gets of IPv6
_MAX_KEYS = 10_000


def client_address(request: web.BaseRequest, proxies: Sequence[IPvAnyNetwork]) -> str:
    """Return the address a request comes from, of IPv6 its /64 network.

    A proxy is believed only when it is one of ``proxies``: the client is the rightmost address of
    ``X-Forwarded-For`` that is none of them, for what stands left of it the client can make up.
    """
    address = _parse(request.remote or "")
    if address is None:
        return "local"  # a Unix socket
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
    for hop in reversed(forwarded.split(",") if forwarded else []):
        if not any(address in network for network in proxies):
            break
        before = _parse(hop.strip())
        if before is None:
            break
        address = before
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _NETWORK_PREFIX), strict=False))
    return str(address)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on ``host``."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _parse(host)
    return address is not None and address.is_loopback


class Allowance:
    """Lets each key do something ``per_minute`` times, bursts of as many included (token bucket)."""

    def __init__(self, per_minute: float) -> None:
        self._most = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Return the seconds until ``key`` may do it again, 0 if now."""
        left = self._left(key)
        return 0.0 if left >= 1 else (1 - left) * 60 / self._most

    def take(self, key: str) -> None:
        """Note that ``key`` did it."""
        self._buckets[key] = (max(0.0, self._left(key) - 1), time.monotonic())
        self._buckets.move_to_end(key)
        if len(self._buckets) > _MAX_KEYS:
            self._buckets.popitem(last=False)  # the one that was quiet for longest

    def _left(self, key: str) -> float:
        left, since = self._buckets.get(key, (self._most, 0.0))
        return min(self._most, left + (time.monotonic() - since) * self._most / 60)
