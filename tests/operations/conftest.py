"""A gateway behind its whole application, to be scraped and probed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request
from pytest_aiohttp.plugin import AiohttpClient

from sttgate.app import GATEWAY, create_app
from sttgate.gateway import Gateway
from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.gateways import build_config, receive_until, scripted

Client = TestClient[Request, Application]
Serve = Callable[..., Awaitable[Client]]


@pytest.fixture
def serve(tmp_path: Path, aiohttp_client: AiohttpClient) -> Serve:
    """Return a function that serves sections of config.yaml; by default the echo provider speaks."""

    async def serve(**sections: object) -> Client:
        config = build_config(tmp_path, **({"providers": scripted()} | sections))
        return await aiohttp_client(create_app(Gateway.from_config(config)))

    return serve


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)


def gateway_of(client: Client) -> Gateway:
    """Return the gateway behind a client."""
    assert client.app is not None
    return client.app[GATEWAY]


async def transcribe(client: Client, seconds: float = 6.0, **start: object) -> str:
    """Have a whole session; return its id."""
    async with client.ws_connect(f"{PATH}?protocol=2") as socket:
        await socket.send_json({"event": "start"} | start)
        await socket.send_bytes(tone(seconds))
        await socket.send_json({"event": "stop"})
        return str((await receive_until(socket, "stopped"))[-1]["session_id"])
