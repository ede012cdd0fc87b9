"""A disk that is full as far as this process is concerned."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

FILE_SIZE_LIMIT = 1 << 20


@contextmanager
def file_size_limit() -> Iterator[None]:
    """Let the kernel cut short, and then refuse, what goes beyond FILE_SIZE_LIMIT in any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE_LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
