"""Running a coroutine from a command: on uvloop where there is one, logs set up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T], *, level: str = "warning") -> T:
    """Run ``coroutine`` to its end and return its value; ``--debug`` beats ``level``."""
    from sttgate.operations.logs import set_up_logs

    context = click.get_current_context(silent=True)
    debug = context is not None and context.find_root().params.get("debug")
    set_up_logs("debug" if debug else level)
    if sys.platform == "win32":
        return asyncio.run(coroutine)
    import uvloop

    return uvloop.run(coroutine)
