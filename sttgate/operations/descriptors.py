"""How many descriptors the gateway may need, and how many the system gives."""

from __future__ import annotations

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

PER_SESSION = 4  # the client's socket, the provider's, and two files in the spool
_BESIDE = 200  # the stores, the log, uploads, visitors of the API


def needed(sessions: int, connections: int | None) -> int:
    """Return how many so many sessions and connections (None: as many) may need, with some to spare."""
    return sessions * PER_SESSION + (connections or sessions) + _BESIDE


def obtainable() -> int | None:
    """Return how many this process can get, None where nobody counts."""
    if resource is None:
        return None
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if most == resource.RLIM_INFINITY else most


def obtain(wanted: int) -> int:
    """Raise the limit towards ``wanted``, never lower it; return how many of them there may be."""
    if resource is None:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = resource.RLIM_INFINITY
    if soft == endless or soft >= wanted:
        return wanted
    possible = wanted if hard == endless else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    except (ValueError, OSError):
        return soft
    return possible
