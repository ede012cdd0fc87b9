"""What the process asks of the system: enough descriptors, no core files, and privacy for its files."""

from __future__ import annotations

import contextlib
import os

import structlog

from sttgate.operations import descriptors

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

log = structlog.get_logger(__name__)


def prepare_process(sessions: int, connections: int | None) -> None:
    """Have room for as many sessions and connections as there may be; keep words and keys private.

    A core file would have them in clear, so none is written. Files and folders that are made from here
    on are for their owner only, also those of plugins.
    """
    os.umask(0o077)
    if resource is not None:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wanted = descriptors.needed(sessions, connections)
    if (limit := descriptors.obtain(wanted)) < wanted:
        log.warning("few_descriptors", limit=limit, wanted=wanted)
