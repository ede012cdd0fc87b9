"""Whether a file that should be private is; on systems without POSIX permissions every file counts as so."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def others_can_read(path: Path) -> bool:
    """Tell whether ``path`` is a file of ours that every user of the machine may read."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return False
    return (
        os.name == "posix" and status.st_uid == os.geteuid() and bool(status.st_mode & stat.S_IROTH)
    )


def others_can_write(path: Path) -> bool:
    """Tell whether every user of the machine may change ``path``."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return os.name == "posix" and bool(mode & stat.S_IWOTH)
