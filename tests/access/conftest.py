"""A closed door for every test that asks for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_aiohttp.plugin import AiohttpClient

from sttgate.access.gate import Gate
from sttgate.access.keys import KeyFile
from sttgate.app import create_app
from sttgate.gateway import Gateway
from tests.access.doors import Door, OpenDoor
from tests.functional.conftest import serve
from tests.gateways import build_config

__all__ = ["open_door", "serve"]


@pytest.fixture
def open_door(tmp_path: Path, aiohttp_client: AiohttpClient) -> OpenDoor:
    """Return a function that serves with keys; it takes the sections ``access`` and ``limits``."""

    async def open_door(
        access: dict[str, object] | None = None, limits: dict[str, object] | None = None
    ) -> Door:
        sections: dict[str, object] = {"access": {"required": True} | (access or {})}
        if limits is not None:
            sections["limits"] = limits
        config = build_config(tmp_path, **sections)
        KeyFile(config.access.keys).create("first", ["admin"])
        gateway, gate = Gateway.from_config(config), Gate.from_config(config)
        app = create_app(gateway, gate, config.access.origins)
        return Door(gateway, gate, await aiohttp_client(app))

    return open_door
