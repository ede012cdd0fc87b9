"""What orchestrators are told, and when."""

from __future__ import annotations

from typing import Any

import pytest

from sttgate.errors import ProviderUnavailable, StoreError
from sttgate.operations import health
from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.gateways import receive_until
from tests.operations.conftest import Client, Serve, gateway_of, until


async def ready(client: Client) -> tuple[int, dict[str, Any]]:
    """Return status and body of /readyz."""
    async with client.get("/readyz") as response:
        return response.status, await response.json()


async def alive(client: Client) -> bool:
    """Whether /livez answers as it should."""
    async with client.get("/livez") as response:
        return response.status == 200


async def test_at_capacity(serve: Serve) -> None:
    """A gateway with all the sessions it may have is not ready, and is again when one has ended."""
    client = await serve(server={"port": 0, "max_sessions": 1})
    assert (await ready(client))[0] == 200
    async with client.ws_connect(f"{PATH}?protocol=2") as socket:
        await socket.send_json({"event": "start"})
        await socket.send_bytes(tone(0.5))
        await receive_until(socket, "started")
        status, body = await ready(client)
        assert (status, body["full"], body["sessions"]) == (503, True, 1)
        assert await alive(client)
        await socket.send_json({"event": "stop"})
        await receive_until(socket, "stopped")
    await until(lambda: not gateway_of(client).sessions)
    assert (await ready(client))[0] == 200


async def test_draining(serve: Serve) -> None:
    """A gateway that is told to go is not ready, and lives."""
    client = await serve()
    gateway_of(client).ready = False
    status, body = await ready(client)
    assert (status, body["status"], body["draining"]) == (503, "unavailable", True)
    assert await alive(client)


async def test_a_store_that_is_out(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store may be out for some seconds; then the gateway is not ready, until it is back."""
    client = await serve()
    store = gateway_of(client).transcripts

    async def refuse() -> None:
        raise StoreError("the database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(store, "check", refuse)
        status, body = await ready(client)
        assert status == 200
        assert body["stores"] == {"spool": "ok", "transcripts": "failing", "recordings": "ok"}
        patch.setattr(health, "STORE_PATIENCE", 0.0)
        assert (await ready(client))[0] == 503
        assert await alive(client)
    assert (await ready(client))[0] == 200


async def test_a_spool_that_is_out(serve: Serve) -> None:
    """Without a disk to write to no session is welcome."""
    client = await serve()
    gateway_of(client).spool.error = OSError(28, "No space left on device")
    status, body = await ready(client)
    assert (status, body["stores"]["spool"]) == (503, "failing")


async def test_a_provider_that_is_out(serve: Serve) -> None:
    """A provider that fails is told, and is no reason to go elsewhere: audio waits for it."""
    client = await serve()
    (provider,) = gateway_of(client).chain
    await until(lambda: provider.is_open)
    assert (await ready(client))[1]["providers"] == {"echo": "ready"}
    for _ in range(10):
        provider.breaker.failed(ProviderUnavailable("it is not there"))
    status, body = await ready(client)
    assert (status, body["providers"]) == (200, {"echo": "failing"})
