"""Browser tests run where there is a Chromium; elsewhere they say why they do not.

Starting Chromium costs more than most tests, so one is kept for each set of flags, with a loop that
lasts as long: the tests here are marked ``asyncio(loop_scope="session")``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import TCPConnector, web
from aiohttp.test_utils import TestClient, TestServer

pytest.importorskip("playwright", reason="the browser tests need playwright")

from sttgate.access.gate import Gate
from sttgate.access.keys import KeyFile
from sttgate.app import create_app
from sttgate.gateway import Gateway
from sttgate.stores import SessionQuery
from tests.access.doors import Door, OpenDoor
from tests.archive import Archive
from tests.browser.chromium import EXECUTABLE, Browsers, OpenPage
from tests.browser.sounds import write_reading
from tests.conftest import SHARED_FOLDER
from tests.faults.process import Servers
from tests.functional.native import ENGINES, Serve, Server
from tests.gateways import build_config

Start = Callable[..., Awaitable[OpenPage]]
Client = TestClient[web.Request, web.Application]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        # One browser at a time: several would be too slow for those who are watched in real time.
        item.add_marker(pytest.mark.xdist_group("browser"))
        if EXECUTABLE is None:
            item.add_marker(
                pytest.mark.skip(
                    reason="there is no Chromium on this machine (Debian: apt-get install chromium)"
                )
            )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browsers() -> AsyncIterator[Browsers]:
    """Return the browsers that run."""
    async with Browsers() as browsers:
        yield browsers


@pytest_asyncio.fixture(loop_scope="session")
async def start(browsers: Browsers) -> AsyncIterator[Start]:
    """Return a function that takes flags and returns what opens pages in a Chromium with them."""
    async with AsyncExitStack() as pages:

        async def start(*flags: str) -> OpenPage:
            return await browsers.opener(flags, pages)

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def run_app() -> AsyncIterator[Callable[[web.Application], Awaitable[Client]]]:
    """Return a function that serves an application, and gives a client for it."""
    async with AsyncExitStack() as stack:

        async def run_app(app: web.Application) -> Client:
            return await stack.enter_async_context(TestClient(TestServer(app)))

        yield run_app


@pytest.fixture
def serve(tmp_path: Path, run_app: Callable[[web.Application], Awaitable[Client]]) -> Serve:
    """Return a function that serves a provider with its options, and other sections of config.yaml."""

    async def serve(
        provider: str = "echo", /, *, sections: dict[str, object] | None = None, **options: Any
    ) -> Server:
        content = {
            "providers": {provider: options},
            "chain": [provider],
            "plugins": {"dirs": [str(ENGINES)]},
        }
        config = build_config(tmp_path, **(content | (sections or {})))
        gateway = Gateway.from_config(config)
        return Server(gateway, await run_app(create_app(gateway)))

    return serve


@pytest.fixture
def open_door(tmp_path: Path, run_app: Callable[[web.Application], Awaitable[Client]]) -> OpenDoor:
    """Return a function that serves with keys."""

    async def open_door() -> Door:
        config = build_config(tmp_path, access={"required": True})
        KeyFile(config.access.keys).create("first", ["admin"])
        gateway, gate = Gateway.from_config(config), Gate.from_config(config)
        return Door(gateway, gate, await run_app(create_app(gateway, gate)))

    return open_door


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_archive(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Archive]:
    """Return an archive for all tests of a module; nothing is stored in it yet."""
    folder = tmp_path_factory.mktemp(SHARED_FOLDER)
    gateway = Gateway.from_config(
        build_config(folder, providers={"echo": {"script": ["so it is"]}})
    )
    client = TestClient(TestServer(create_app(gateway)), connector=TCPConnector(force_close=True))
    async with client:
        # The store opens its files when it first reads: before a test counts what is open.
        reads = (gateway.transcripts.list(SessionQuery()) for _ in range(16))
        await asyncio.gather(*reads)
        yield Archive(Server(gateway, client), folder)


@pytest_asyncio.fixture(loop_scope="session")
async def archive(shared_archive: Archive) -> AsyncIterator[Archive]:
    """Return the archive of a module; to be asked for before ``start``, whose pages close first."""
    yield shared_archive
    await shared_archive.deserted()


@pytest.fixture(scope="session")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a WAV file with real speech, for the fake microphone."""
    return write_reading(tmp_path_factory.mktemp("sounds") / "reading.wav")


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Return what makes servers in processes of their own; those that live are killed."""
    made = Servers(tmp_path)
    yield made
    made.put_away()
