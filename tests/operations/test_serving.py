"""Metrics and health on an address of their own, and a drain that can be watched there."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

import pytest
from aiohttp import ClientConnectorError, ClientSession

from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.cli.commands import assert_explained, configure, run, serve
from tests.gateways import receive_until


async def get(client: ClientSession, url: str) -> tuple[int, str]:
    """Return status and text of an answer."""
    async with client.get(url) as response:
        return response.status, await response.text()


async def test_an_address_of_their_own(tmp_path: Path) -> None:
    """Where keys are asked for Prometheus needs none on that port; a drain shows there to its end."""
    configure(
        tmp_path,
        server={"port": 0, "lame_duck_s": 1.0, "drain_timeout_s": 30},
        access={"required": True},
        metrics={"port": 0},
    )
    made = run(tmp_path, "keys", "create", "somebody")
    headers = {"Authorization": f"Bearer {made.out.strip()}"}
    async with ClientSession() as client:
        with serve(tmp_path) as (running, url):
            metrics = running.wait_for("  metrics     ").strip()
            ready = metrics.replace("/metrics", "/readyz")
            assert (await get(client, ready))[0] == 200
            assert "\nsttgate_draining 0.0\n" in (await get(client, metrics))[1]
            async with client.get(f"{url}/metrics", headers=headers) as response:
                assert response.status == 404
            assert (await get(client, metrics.replace("/metrics", "/api/v1/sessions")))[0] == 404

            async with client.ws_connect(f"{url}{PATH}?protocol=2", headers=headers) as ws:
                await ws.send_json({"event": "start"})
                await ws.send_bytes(tone(1.0))
                await receive_until(ws, "started")
                running.process.send_signal(signal.SIGTERM)
                running.wait_for("draining")
                status, body = await get(client, ready)
                assert (status, '"draining": true' in body) == (503, True)
                assert (await get(client, f"{url}/livez"))[0] == 200  # a lame duck serves
                (goaway,) = [
                    message
                    for message in await receive_until(ws, "goaway")
                    if message["event"] == "goaway"
                ]
                assert goaway["deadline_s"] == 30
                async with ClientSession() as other:
                    with pytest.raises(ClientConnectorError):
                        await get(other, f"{url}/livez")
                text = (await get(client, metrics))[1]
                assert "\nsttgate_draining 1.0\n" in text
                assert "\nsttgate_sessions_active 1.0\n" in text
                assert (await get(client, metrics.replace("/metrics", "/livez")))[0] == 200
                await ws.send_json({"event": "stop"})
                await receive_until(ws, "stopped")
            assert await asyncio.to_thread(running.process.wait, 20) == 0


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """It does not start without its metrics, and says which key to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        configure(tmp_path, metrics={"port": taken.getsockname()[1]})
        assert_explained(run(tmp_path, "serve"), 1, "cannot listen on", "'metrics.port'")


async def test_it_is_a_warning_beyond_this_machine(tmp_path: Path) -> None:
    """That nobody is asked there is said at the start, if others can reach it."""
    configure(tmp_path, metrics={"port": 0, "host": "0.0.0.0"})
    with serve(tmp_path) as (running, _):
        assert "everybody" in running.wait_for("WARNING     0.0.0.0 shows the metrics")
