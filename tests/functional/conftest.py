"""A server for every functional test that asks for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from sttgate.app import create_app
from sttgate.gateway import Gateway
from tests.functional.native import ENGINES, Serve, Server
from tests.gateways import build_config


@pytest.fixture
def serve(tmp_path: Path, aiohttp_client: AiohttpClient) -> Serve:
    """Return a function that serves a provider with its options, and other sections of config.yaml."""

    async def serve(
        provider: str = "echo", /, *, sections: dict[str, object] | None = None, **options: object
    ) -> Server:
        content = {
            "providers": {provider: options},
            "chain": [provider],
            "plugins": {"dirs": [str(ENGINES)]},
        }
        config = build_config(tmp_path, **(content | (sections or {})))
        gateway = Gateway.from_config(config)
        return Server(gateway, await aiohttp_client(create_app(gateway)))

    return serve
