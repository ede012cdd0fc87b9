"""What the process asks of the system: enough descriptors, no core files, and privacy for its files."""

from __future__ import annotations

import contextlib
import os

import structlog

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

log = structlog.get_logger(__name__)

_OF_A_SESSION = 4  # descriptors: its files in the spool, its provider; the socket is a connection's
_OTHERS = 200  # stores, probes, uploads, the console


def prepare_process(sessions: int, connections: int | None) -> None:
    """Have room for as many sessions and connections as there may be; keep words and keys private.

    A core file would have them in clear, so none is written. Files and folders that are made from here
    on are for their owner only, also those of plugins.
    """
    os.umask(0o077)
    if resource is None:
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wanted = (connections or sessions) + sessions * _OF_A_SESSION + _OTHERS
    if (limit := _raise_descriptors(wanted)) < wanted:
        log.warning("few_descriptors", limit=limit, wanted=wanted)


def _raise_descriptors(wanted: int) -> int:
    """Raise the limit towards ``wanted``, never lower it; return how many there may be."""
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
