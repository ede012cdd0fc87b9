"""The body of an upload, piece by piece, however it is wrapped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import unquote

from aiohttp import BodyPartReader, MultipartReader, web

from sttgate.api.problems import ApiProblem

BLOCK = 256 * 1024  # bytes taken at a time
MULTIPART = "multipart/form-data"
PART = "file"
_WRAPPING = 1024  # bytes, what a form may have around its file
_NO_FORM = f"The body is no {MULTIPART}."
_ONE_PART = f"The body must have one part, with the name '{PART}'."
_TAKEN = ("audio", "video")
_BINARY = ("application/octet-stream", "application/ogg")


class UploadBody:
    """The one file in a request; ``name`` is what its sender calls it. ApiProblem for anything else."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._form: MultipartReader | None = None
        self._part: BodyPartReader | None = None
        self.name: str | None = None
        kind = request.content_type
        self._multipart = kind == MULTIPART
        if not (self._multipart or kind in _BINARY or kind.split("/")[0] in _TAKEN):
            raise ApiProblem(
                415, f"Send the file itself, as audio/*, video/*, {_BINARY[0]} or {MULTIPART}."
            )

    @property
    def size(self) -> int | None:
        """How many bytes it has at least, None if that is not said."""
        size = self._request.content_length
        return max(0, size - _WRAPPING) if size is not None and self._multipart else size

    async def open(self) -> None:
        """Read up to the first byte of the file."""
        if not self._multipart:
            return
        try:
            self._form = await self._request.multipart()
            part = await self._form.next()
        except ValueError as error:
            raise ApiProblem(400, _NO_FORM) from error
        if not isinstance(part, BodyPartReader) or part.name != PART:
            raise ApiProblem(400, _ONE_PART)
        self._part = part
        self.name = unquote(part.filename) if part.filename else None

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield the file."""
        if self._part is None or self._form is None:
            async for block in self._request.content.iter_chunked(BLOCK):
                yield block
            return
        try:
            while block := await self._part.read_chunk(BLOCK):
                yield block
            rest = await self._form.next()
        except ValueError as error:
            raise ApiProblem(400, _NO_FORM) from error
        if rest is not None:
            raise ApiProblem(400, _ONE_PART)
