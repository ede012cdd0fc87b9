"""A file on its way in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from sttgate.errors import ErrorCode, RequestError, SttgateError
from sttgate.uploads.files import UploadFile
from sttgate.uploads.whole import in_thread

log = structlog.get_logger(__name__)


class TooLarge(SttgateError):
    """A file is larger than one may be."""


class Reception:
    """A file that is arriving; ``deadline`` is that of the whole reception."""

    def __init__(
        self,
        file: UploadFile,
        deadline: asyncio.Timeout,
        max_bytes: int,
        too_large: Callable[[], TooLarge],
    ) -> None:
        self.finished = False
        self.title: str | None = None
        self.deadline = deadline
        self._file = file
        self._max_bytes = max_bytes
        self._too_large = too_large

    @property
    def size(self) -> int:
        """Bytes received so far."""
        return self._file.size

    async def write(self, data: bytes) -> None:
        """Take a piece of the file; raise TooLarge or RequestError."""
        if self.size + len(data) > self._max_bytes:
            raise self._too_large()
        try:
            await in_thread(self._file.write, data)
        except OSError as error:
            log.error("upload_write_failed", error=error.strerror)
            raise RequestError(
                ErrorCode.STORAGE_FAILED, "The service cannot store the file at the moment."
            ) from error

    def complete(self, title: str = "") -> None:
        """Say that all of it is here, and what it is called where it comes from."""
        self.finished, self.title = True, title or None
