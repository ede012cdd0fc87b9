"""Recordings as files in one folder, named after their session."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO

from sttgate import Options, Recording, RecordingStore, StoreError, StoreSpec, hookimpl

_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_BLOCK = 64 << 10  # bytes
_SUFFIX = ".wav"
_TEMPORARY = ".part"


class FilesOptions(Options):
    """Options of the store ``files``."""

    path: Path = Path("recordings")
    """The folder; it is made when missing. On the disk of the spool, taking over is a rename."""


class FileStore(RecordingStore):
    """Keeps each recording as ``<folder>/<session id>.wav``, readable by its owner only.

    Session ids have 1 to 64 letters, digits, ``-`` and ``_`` and do not begin with ``-`` or ``_``;
    with any other there is no recording, and none can be put. Symbolic links are not followed.
    """

    def __init__(self, options: FilesOptions) -> None:
        self._folder = options.path.absolute()

    async def open(self) -> None:
        """Make the folder if need be, and sweep up copies that a crash left unfinished."""
        await asyncio.to_thread(self._open)

    async def check(self) -> None:
        """Write a byte to a nameless file."""
        await asyncio.to_thread(self._check)

    async def put(self, session_id: str, source: Path) -> Recording:
        """Take over ``source`` for good: when this returns, a power cut does not undo it.

        On another file system it is copied first. A call that is cancelled may still complete.
        """
        return await asyncio.to_thread(self._put, session_id, source)

    async def find(self, session_id: str) -> Recording | None:
        """Return the recording of a session, or None."""
        return await asyncio.to_thread(self._find, session_id)

    async def read(
        self, session_id: str, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield blocks of at most 64 KiB; what is deleted meanwhile is read to its end."""
        try:
            file = _open_plain_file(self._target(session_id), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._failure(session_id, "read", error) from error
        try:
            position = max(0, start)
            while stop is None or position < stop:
                size = _BLOCK if stop is None else min(_BLOCK, stop - position)
                block = await asyncio.to_thread(os.pread, file, size, position)
                if not block:
                    break
                yield block
                position += len(block)
        except OSError as error:
            raise self._failure(session_id, "read", error) from error
        finally:
            os.close(file)

    async def delete(self, session_id: str) -> bool:
        """Delete a recording for good; False if there was none."""
        return await asyncio.to_thread(self._delete, session_id)

    async def older_than(self, instant: float) -> list[str]:
        """Return the sessions whose files were last written before ``instant``."""
        return await asyncio.to_thread(self._older_than, instant)

    def _open(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for unfinished in self._folder.glob(f".*{_TEMPORARY}"):
                unfinished.unlink(missing_ok=True)
        except OSError as error:
            raise self._folder_failure(error) from error
        self._check()

    def _check(self) -> None:
        try:
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                file.write(b"\0")
                os.fsync(file.fileno())
        except OSError as error:
            raise self._folder_failure(error) from error

    def _put(self, session_id: str, source: Path) -> Recording:
        target = self._target(session_id)
        try:
            self._take(source, target)
            self._sync_folder()
        except OSError as error:
            raise self._failure(session_id, f"taken over from {source}", error) from error
        recording = self._find(session_id)
        if recording is None:
            raise StoreError(
                f"The recording of session {session_id} is not a file; remove {target}."
            )
        return recording

    def _take(self, source: Path, target: Path) -> None:
        try:
            with open(source, "rb", opener=_open_plain_file) as file:
                os.fchmod(file.fileno(), 0o600)
                os.fsync(file.fileno())
                try:
                    os.replace(source, target)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    self._copy(file, target)
                    source.unlink(missing_ok=True)
        except FileNotFoundError:
            if not target.exists():  # else an earlier call took it
                raise

    def _copy(self, source: IO[bytes], target: Path) -> None:
        """Copy to a file next to ``target`` and rename it, so that ``target`` is never partial."""
        handle, temporary = tempfile.mkstemp(_TEMPORARY, f".{target.stem}-", self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
                file.flush()
                os.fsync(handle)
            os.replace(temporary, target)
            self._sync_folder()
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _find(self, session_id: str) -> Recording | None:
        if not _SESSION_ID.fullmatch(session_id):
            return None
        target = self._target(session_id)
        try:
            status = target.lstat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failure(session_id, "found", error) from error
        if not stat.S_ISREG(status.st_mode):
            return None
        return Recording(session_id=session_id, size=status.st_size, path=target)

    def _delete(self, session_id: str) -> bool:
        if self._find(session_id) is None:
            return False
        try:
            self._target(session_id).unlink()
            self._sync_folder()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._failure(session_id, "deleted", error) from error
        return True

    def _older_than(self, instant: float) -> list[str]:
        try:
            with os.scandir(self._folder) as entries:
                return [
                    entry.name.removesuffix(_SUFFIX)
                    for entry in entries
                    if entry.name.endswith(_SUFFIX)
                    and _SESSION_ID.fullmatch(entry.name.removesuffix(_SUFFIX))
                    and entry.is_file(follow_symlinks=False)
                    and entry.stat(follow_symlinks=False).st_mtime < instant
                ]
        except OSError as error:
            raise self._folder_failure(error) from error

    def _target(self, session_id: str) -> Path:
        if not _SESSION_ID.fullmatch(session_id):
            raise StoreError(
                f"A recording cannot be named {session_id!r}: "
                "use 1 to 64 letters, digits, '-' and '_', with a letter or digit first."
            )
        return self._folder / f"{session_id}{_SUFFIX}"

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _failure(self, session_id: str, done: str, error: OSError) -> StoreError:
        return StoreError(
            f"The recording of session {session_id} cannot be {done} in {self._folder}: "
            f"{_reason(error)}."
        )

    def _folder_failure(self, error: OSError) -> StoreError:
        return StoreError(f"Recordings cannot be kept in {self._folder}: {_reason(error)}.")


def _open_plain_file(path: str | Path, flags: int) -> int:
    """Open without following a symbolic link, and without waiting if it is a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "the disk is full; free some space"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return "it is not allowed; make the folder writable for this user"
        case errno.ENOENT:
            return "there is no such file"
        case errno.ELOOP:
            return "it is a symbolic link; put the file itself there"
        case _:
            return f"{error.strerror}; check the disk and the path"


@hookimpl
def sttgate_recording_stores() -> list[StoreSpec]:
    """Offer the store ``files``."""
    return [
        StoreSpec(
            name="files",
            factory=FileStore,
            options=FilesOptions,
            summary="Recordings as WAV files in one folder",
        )
    ]
