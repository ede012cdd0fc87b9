"""Uploaded files on disk. Everything here blocks: call it in a thread.

A file is locked while the process that received it lives; beside it lies what is asked for it, once it
is complete. What is found unlocked was left by a process that died.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_BODY, _ORDER = ".upload", ".json"


class UploadFile:
    """The body of one upload, open and locked; ``size`` is what was written."""

    def __init__(self, path: Path, mode: str) -> None:
        self.path = path
        self._file = open(path, mode, buffering=0, opener=_private)  # noqa: SIM115
        self.size = self._file.seek(0, os.SEEK_END)

    def lock(self) -> bool:
        """Claim the file for this process; False if another one has it."""
        if fcntl is None:
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def write(self, data: bytes) -> None:
        """Append ``data``; OSError if the disk refuses."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self.size += len(data)

    def keep(self, order: bytes) -> None:
        """Say that the body is complete, and what is asked for it."""
        about = self.path.with_suffix(_ORDER)
        draft = about.with_name(f".{about.name}")
        with open(draft, "wb", opener=_private) as file:
            file.write(order)
        draft.rename(about)

    def order(self) -> bytes | None:
        """Return what ``keep`` was given, None for a file that is not complete."""
        try:
            return self.path.with_suffix(_ORDER).read_bytes()
        except OSError:
            return None

    def discard(self) -> None:
        """Close and delete the file; may be repeated."""
        # The order first: a body without one is rubbish to whoever comes after a crash.
        for path in (self.path.with_suffix(_ORDER), self.path):
            with contextlib.suppress(OSError):
                path.unlink()
        self.close()

    def close(self) -> None:
        """Close the file and leave it where it is, for the next start."""
        self._file.close()


class UploadFolder:
    """The folder of all uploads; made when the first one comes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, upload_id: str) -> UploadFile:
        """Make a file, locked before another process can see it; OSError if that is impossible."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path / f"{upload_id}{_BODY}"
        hidden = path.with_name(f".{path.name}")
        file = UploadFile(hidden, "xb")
        try:
            file.lock()
            hidden.rename(path)
        except BaseException:
            file.close()
            hidden.unlink(missing_ok=True)
            raise
        file.path = path
        return file

    def free_bytes(self) -> int:
        """Return how much room the disk has; OSError if there is no such folder."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return shutil.disk_usage(self.path).free

    def left_behind(self) -> Iterator[tuple[UploadFile, bytes]]:
        """Yield, locked, each complete file that nobody has, and its order; delete the others."""
        if not self.path.is_dir():
            return
        for path in sorted(self.path.glob(f"*{_BODY}")):
            try:
                file = UploadFile(path, "rb+")
            except OSError:
                continue
            if not file.lock():
                file.close()
            elif order := file.order():
                yield file, order
            else:
                file.discard()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
