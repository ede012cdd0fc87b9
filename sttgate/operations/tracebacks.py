"""Tracebacks for the log, without the texts of exceptions that quote what they could not take."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import TextIO

from structlog.typing import ExcInfo

from sttgate.errors import SttgateError

# JSONDecodeError and pydantic's ValidationError are such, and what they quote may have been said.
_QUOTING = (ValueError, LookupError)
_MOST = 10  # exceptions in one traceback


def describe(exc_info: ExcInfo) -> str:
    """Return a traceback with causes and groups; only types of ValueError, KeyError and the like."""
    return "\n".join(_lines(exc_info[1], set())).rstrip()


def write(file: TextIO, exc_info: ExcInfo) -> None:
    """Write what ``describe`` returns to ``file``, as structlog's console wants it."""
    file.write("\n" + describe(exc_info))


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen and len(seen) < _MOST:
        yield from _lines(before, seen)
        caused = before is error.__cause__
        yield f"\n{'From that came' if caused else 'While that was handled'}:\n"
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):"
        yield "".join(traceback.format_tb(error.__traceback__)).rstrip("\n")
    yield _name(error)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            if len(seen) < _MOST:
                yield f"\nOne of the {len(error.exceptions)} in it:\n"
                yield from _lines(inner, seen)


def _name(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    if isinstance(error, _QUOTING) and not isinstance(error, SttgateError):
        return f"{name} (its text may quote what was said, so it is not here)"
    return f"{name}: {error}" if str(error) else name
