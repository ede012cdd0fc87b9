"""How many descriptors the process may have: systems give 1024 unasked, and more on request."""

from __future__ import annotations

import contextlib
import sys

PER_SESSION = 4  # the client, the provider, and two files in the spool
_BESIDE = 100  # the stores, the log, uploads, visitors of the API


def needed(max_sessions: int) -> int:
    """Return how many descriptors so many sessions need."""
    return max_sessions * PER_SESSION + _BESIDE


def sessions(descriptors: int) -> int:
    """Return for how many sessions so many descriptors are enough."""
    return max(0, descriptors - _BESIDE) // PER_SESSION


def obtainable() -> int | None:
    """Return how many this process can get, None where nobody counts."""
    if sys.platform == "win32":
        return None
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if most == resource.RLIM_INFINITY else most


def obtain(max_sessions: int) -> None:
    """Raise the limit of this process to what so many sessions need, as far as it goes."""
    if sys.platform == "win32":
        return
    import resource

    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed(max_sessions)
    if most != resource.RLIM_INFINITY:
        wanted = min(wanted, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with contextlib.suppress(
            OSError, ValueError
        ):  # some systems have a lower limit of their own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
