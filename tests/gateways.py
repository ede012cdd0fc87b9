"""Gateways and clients for tests: a real configuration in a temporary folder, real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from aiohttp import ClientWebSocketResponse, WSMsgType

from sttgate.config import Config, load_config

SCRIPT = ("the first sentence is short", "and the second one is here")


def build_config(folder: Path, **sections: object) -> Config:
    """Write ``sections`` as ``config.yaml`` into ``folder`` and load it; the echo provider by default."""
    content: dict[str, object] = {
        "server": {"port": 0},
        "providers": {"echo": {}},
        "chain": ["echo"],
        "plugins": {"dirs": []},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content | sections), encoding="utf-8")
    return load_config(path, environ={}, cwd=folder)


def scripted(script: tuple[str, ...] = SCRIPT, **options: object) -> dict[str, object]:
    """Return the ``providers`` section with an echo provider that speaks ``script``."""
    return {"echo": {"script": list(script)} | options}


async def receive(socket: ClientWebSocketResponse, timeout: float = 10.0) -> dict[str, Any]:
    """Return the next JSON message."""
    message = await socket.receive(timeout=timeout)
    assert message.type is WSMsgType.TEXT, message
    result: dict[str, Any] = json.loads(message.data)
    return result


async def receive_until(
    socket: ClientWebSocketResponse, event: str, timeout: float = 20.0
) -> list[dict[str, Any]]:
    """Return all messages up to and including the first ``event``."""
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(timeout):
        while not messages or messages[-1]["event"] != event:
            messages.append(await receive(socket, timeout))
    return messages


async def assert_silent(socket: ClientWebSocketResponse, seconds: float = 0.3) -> None:
    """Assert that nothing is sent for a while."""
    try:
        message = await socket.receive(timeout=seconds)
    except TimeoutError:
        return
    raise AssertionError(f"unexpected {message}")


def finals(messages: list[Mapping[str, Any]]) -> list[str]:
    """Return the texts of the finals among ``messages``."""
    return [m["text"] for m in messages if m["event"] == "transcript" and m["is_final"]]
