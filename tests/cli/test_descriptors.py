"""As many descriptors as the sessions need."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession

from sttgate.operations import descriptors
from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.cli.commands import configure, serve
from tests.fakes.deepgram_server import FakeDeepgram
from tests.gateways import receive_until
from tests.operations.conftest import until

SESSIONS = 5


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc tells descriptors here")
async def test_what_a_session_needs(tmp_path: Path) -> None:
    """A session on a provider behind a socket has no more descriptors than are reckoned with."""
    async with FakeDeepgram(api_key="k") as server, AsyncExitStack() as stack:
        deepgram = {"api_key": "k", "base_url": server.url}
        configure(tmp_path, providers={"deepgram": deepgram}, chain=["deepgram"])
        running, url = stack.enter_context(serve(tmp_path))
        client = await stack.enter_async_context(ClientSession())
        counts = []
        for _ in range(1 + SESSIONS):  # the first also opens what all of them share
            socket = await stack.enter_async_context(client.ws_connect(f"{url}{PATH}?protocol=2"))
            await socket.send_json({"event": "start"})
            await socket.send_bytes(tone(1.0))
            await receive_until(socket, "started")
            await until(lambda: len(server.connections) > len(counts))
            counts.append(len(os.listdir(f"/proc/{running.process.pid}/fd")))
    assert counts[-1] - counts[0] == SESSIONS * descriptors.PER_SESSION
