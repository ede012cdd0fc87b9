"""What every test gets: a check that it leaks no task, thread or descriptor; gateways to talk to."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import structlog

from sttgate.gateway import Gateway
from tests.docs.threats import is_named, threats
from tests.gateways import build_config

SHARED_FOLDER = "shared-folder-"
"""Begins the name of a folder of a server for several tests: it opens files when it needs them."""
_PATIENCE = 5.0  # seconds for threads and sockets to go away on a busy machine


def pytest_configure() -> None:
    # Where no command sets the logs up they go to standard output, which tests look at; and where
    # rich is installed, structlog's own tracebacks take a second each.
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[*structlog.get_config()["processors"][:-1], console],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    named = {name for threat in threats() for name in threat.tests}
    for item in items:
        if is_named(item.nodeid, named):
            item.add_marker(pytest.mark.security)
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.usefixtures("no_leaked_tasks"))


def _descriptors() -> Counter[str]:
    """Count what is open, by what it is."""
    found: Counter[str] = Counter()
    if os.path.isdir("/proc/self/fd"):
        for descriptor in os.listdir("/proc/self/fd"):
            with suppress(OSError):  # the one this list needs is closed by now
                found[os.readlink(f"/proc/self/fd/{descriptor}")] += 1
    for what in [what for what in found if SHARED_FOLDER in what]:
        del found[what]
    return found


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves a thread or an open descriptor behind."""
    threads, descriptors = set(threading.enumerate()), _descriptors()
    yield
    deadline = time.monotonic() + _PATIENCE
    while True:
        left = [t for t in threading.enumerate() if t not in threads and not _is_shared(t)]
        now = _descriptors()
        more = now.total() - descriptors.total()
        if (not left and more <= 0) or time.monotonic() > deadline:
            break
        gc.collect()
        time.sleep(0.02)
    assert not left, f"leaked threads: {left}"
    assert more <= 0, f"leaked {more} descriptors, among them {', '.join(now - descriptors)}"


def _is_shared(thread: threading.Thread) -> bool:
    """Whether the thread belongs to the process: the loop's default executor, a library's pool."""
    return thread.name.startswith(("asyncio_", "pytest_timeout"))


@pytest.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fail an async test that leaves a task behind."""
    before = asyncio.all_tasks()
    yield
    deadline = time.monotonic() + _PATIENCE
    while (left := asyncio.all_tasks() - before - {asyncio.current_task()}) and (  # noqa: ASYNC110 - no event tells
        time.monotonic() < deadline
    ):
        await asyncio.sleep(0.01)
    assert not left, f"leaked tasks: {[task.get_name() for task in left]}"


MakeGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def make_gateway(tmp_path: Path, no_leaked_tasks: None) -> AsyncIterator[MakeGateway]:
    """Return a function that opens a gateway; ``build_config`` tells what it takes."""
    async with AsyncExitStack() as stack:

        async def make(folder: Path = tmp_path, /, **sections: object) -> Gateway:
            gateway = Gateway.from_config(build_config(folder, **sections))
            await gateway.open()
            stack.push_async_callback(gateway.close)
            return gateway

        yield make
