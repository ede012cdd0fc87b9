"""Parts of a file: ``Range``, ``If-Range`` and what else decides how much of it is sent (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from aiohttp import hdrs

from sttgate.api.problems import ApiProblem

_RANGE = re.compile(r"bytes=(?P<first>\d{0,19})-(?P<last>\d{0,19})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What a client may hold already: ``etag`` with its quotes, ``modified_at`` in whole seconds."""

    etag: str
    modified_at: int | None

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell a client which version it got."""
        if self.modified_at is None:
            return {"ETag": self.etag}
        date = format_datetime(datetime.fromtimestamp(self.modified_at, UTC), usegmt=True)
        return {"ETag": self.etag, "Last-Modified": date}

    def is_known(self, headers: Mapping[str, str]) -> bool:
        """Whether the client has this version already, and asks for another one only."""
        if (known := headers.get(hdrs.IF_NONE_MATCH)) is not None:
            tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
            return "*" in tags or self.etag in tags
        since = _date(headers.get(hdrs.IF_MODIFIED_SINCE))
        return since is not None and self.modified_at is not None and self.modified_at <= since

    def continues(self, headers: Mapping[str, str]) -> bool:
        """Whether a part of this version fits to what the client has."""
        if (condition := headers.get(hdrs.IF_RANGE)) is None:
            return True
        if condition.startswith('"'):
            return condition == self.etag
        return self.modified_at is not None and _date(condition) == self.modified_at


def byte_range(header: str | None, size: int) -> range | None:
    """Return the bytes that ``Range`` asks for, of ``size`` there are; None for all of them.

    What is no single range of bytes counts as no range, as the standard wants it. ApiProblem 416 if
    there is nothing in the range.
    """
    match = _RANGE.fullmatch((header or "").strip())
    if match is None or not (match["first"] or match["last"]):
        return None
    if not match["first"]:
        first, last = max(0, size - int(match["last"])), size - 1
    else:
        first = int(match["first"])
        last = min(int(match["last"]), size - 1) if match["last"] else size - 1
        if match["last"] and int(match["last"]) < first:
            return None
    if first > last:
        raise ApiProblem(
            416,
            f"The range lies outside of the {size} bytes there are.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return range(first, last + 1)


def _date(value: str | None) -> float | None:
    try:
        return None if value is None else parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
