"""A disk that is small: a tmpfs of a few megabytes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted tmpfs; ``fill`` leaves no room on it, ``free`` gives it back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave: int = 0) -> None:
        """Leave ``leave`` bytes of room, to a page."""
        size = shutil.disk_usage(self.path).free - leave
        with open(self._ballast, "ab", buffering=0) as file:
            while size > 0:
                size -= file.write(bytes(min(size, 65536)))

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a tmpfs of so many megabytes on ``folder``; skip the test where that is impossible."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
        works = done.returncode == 0
    except OSError:
        works = False
    if not works:
        pytest.skip("no tmpfs can be mounted here, that takes Linux and root")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
