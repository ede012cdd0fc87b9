"""How many descriptors the gateway may need, and how many the system gives."""

from __future__ import annotations

import sys

PER_SESSION = 4  # the client's socket, the provider's, and two files in the spool
_BESIDE = 200  # the stores, the log, uploads, visitors of the API


def needed(sessions: int, connections: int | None) -> int:
    """Return how many so many sessions and connections (None: as many) may need, with some to spare."""
    return sessions * PER_SESSION + (connections or sessions) + _BESIDE


def obtainable() -> int | None:
    """Return how many this process can get, None where nobody counts."""
    if sys.platform == "win32":
        return None
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if most == resource.RLIM_INFINITY else most
