"""Walls around a process that reads what strangers send: it puts itself in and cannot get out."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import sys

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

MEMORY = 512 * 1024**2  # bytes beyond what the process has when it is locked in
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def leave_network() -> None:
    """Leave the network, where the system lets one; call it before there is a second thread."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
                libc.unshare(_CLONE_NEWNET)


def lock_in(cpu_seconds: float) -> None:
    """Give up the right to open anything, to write a file, and to take much memory or time.

    What is open stays so: standard input, output and errors.
    """
    if resource is None:
        return
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, math.ceil(cpu_seconds)),
        (resource.RLIMIT_AS, _address_space() + MEMORY),
        # No descriptor above these three: neither a file nor a socket can be opened any more.
        (resource.RLIMIT_NOFILE, 3),
    ):
        _, most = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY:
            limit = min(limit, most)
        with contextlib.suppress(ValueError, OSError):  # macOS does not know all of them
            resource.setrlimit(kind, (limit, limit))


def _address_space() -> int:
    """Return how much memory this process has mapped, in bytes."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 1024**3
