"""Browser tests run where there is a Chromium; elsewhere they say why they do not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.functional.conftest import serve

pytest.importorskip("playwright", reason="the browser tests need playwright")

from tests.browser.chromium import EXECUTABLE, OpenPage, pages
from tests.browser.sounds import write_reading

__all__ = ["serve"]

Start = Callable[..., Awaitable[OpenPage]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if EXECUTABLE is not None:
        return
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.skip(reason="there is no chromium on this machine"))


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Return a function that starts Chromium with flags and returns what opens pages in it."""
    async with AsyncExitStack() as stack:

        async def start(*flags: str) -> OpenPage:
            return await stack.enter_async_context(pages(flags))

        yield start


@pytest.fixture(scope="session")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a WAV file with real speech, for the fake microphone."""
    return write_reading(tmp_path_factory.mktemp("sounds") / "reading.wav")
