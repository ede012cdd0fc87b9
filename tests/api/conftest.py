"""The API of a real application, for those who ask for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from pytest_aiohttp.plugin import AiohttpClient

from sttgate.app import create_app
from sttgate.gateway import Gateway
from tests.api.service import Serve, Service, gate_for
from tests.gateways import build_config, scripted


@pytest.fixture
def serve(tmp_path: Path, aiohttp_client: AiohttpClient) -> Serve:
    """Return a function that serves a gateway; ``keys``: everybody needs one."""

    async def serve(
        *,
        keys: bool = False,
        adapt: Callable[[Gateway], None] = lambda gateway: None,
        **sections: object,
    ) -> Service:
        config = build_config(tmp_path, **({"providers": scripted()} | sections))
        gateway = Gateway.from_config(config)
        adapt(gateway)
        gate = gate_for(tmp_path, enforced=keys)
        server = TestServer(create_app(gateway, gate))
        await server.start_server(auto_decompress=False)  # as `sttgate serve` does
        client = await aiohttp_client(server)
        service = Service(gateway, gate, client, tmp_path)
        await service.read_document()
        if keys:
            _, service.key = service.create_key("admin")
        return service

    return serve


@pytest.fixture
async def api(serve: Serve) -> Service:
    """Return an API that asks nobody for a key."""
    return await serve()
