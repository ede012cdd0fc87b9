"""The conversations printed in docs/protocol.md happen as they are printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse
from pytest_aiohttp.plugin import AiohttpClient

from sttgate.app import create_app
from sttgate.gateway import Gateway
from sttgate.protocols.native import PATH
from sttgate.testing import silence
from tests.docs.pages import block
from tests.gateways import build_config, scripted

SCRIPT = ("hello there", "how are you")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VOLATILE = ("session_id", "created_at")


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield who speaks and what is said, with what was wrapped put together."""
    for line in re.sub(r"\n +", "", text).splitlines():
        yield line[0], line[2:]


class _Stage:
    """Plays the client, and compares what the server says with the script."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._names: dict[str, str] = {}

    async def say(self, line: str) -> None:
        if match := re.fullmatch(r"\((\S+) s of audio\)", line):
            for _ in range(round(float(match[1]) * 10)):
                await self._socket.send_bytes(silence(0.1))
        elif not line.startswith("("):
            await self._socket.send_str(line)

    async def hear_raw(self, line: str) -> None:
        """Read until the server says ``line``, byte for byte but for ids."""
        while True:
            said = await self._socket.receive_str(timeout=20)
            if _UUID.sub("ID", said) == _UUID.sub("ID", line):
                return
            assert json.loads(said)["event"] == "transcript", f"{said} instead of {line}"

    async def hear(self, line: str) -> None:
        """Read until the server says the same as ``line``; interims may come in between."""
        expected = json.loads(line)
        while True:
            said: dict[str, Any] = await self._socket.receive_json(timeout=20)
            if said["event"] == expected["event"]:
                for key in set(_VOLATILE) & set(said):
                    self._names[str(expected[key])] = str(said[key])
                if self._renamed(line) == said:
                    return
            interim = said["event"] == "transcript" and not said["is_final"]
            assert interim, f"{said} instead of {line}"

    def _renamed(self, line: str) -> Any:
        for printed, real in self._names.items():
            line = line.replace(printed, real)
        return json.loads(line)


@pytest.mark.parametrize(("name", "query"), [("protocol-1", ""), ("protocol-2", "?protocol=2")])
async def test_printed_conversation_happens(
    name: str, query: str, tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    """Saying the client's lines makes the server say its own."""
    gateway = Gateway.from_config(build_config(tmp_path, providers=scripted(SCRIPT)))
    client = await aiohttp_client(create_app(gateway))
    async with client.ws_connect(f"{PATH}{query}") as socket:
        stage = _Stage(socket)
        for speaker, line in _lines(block("docs/protocol.md", name)):
            if speaker == ">":
                await stage.say(line)
            elif query:
                await stage.hear(line)
            else:
                await stage.hear_raw(line)
