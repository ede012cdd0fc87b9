"""Who gets in, and what for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from sttgate.access.gate import FAILURES_PER_MINUTE, Gate, NobodyMayEnter
from sttgate.config.model import LimitsConfig
from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.access.doors import Door, OpenDoor, bearer
from tests.gateways import build_config, receive_until

SESSION = "/api/v1/sessions/0b5c1c2e-0000-4000-8000-000000000000"


async def speak(door: Door, seconds: float = 0.5, **options: Any) -> list[dict[str, Any]]:
    """Have a session, return its messages."""
    async with door.connect(**options) as socket:
        await socket.send_json({"event": "start"})
        await socket.send_bytes(tone(seconds))
        await socket.send_json({"event": "stop"})
        return await receive_until(socket, "stopped")


async def refused(door: Door, query: str = "?protocol=2", **options: Any) -> int:
    """Return the status a WebSocket is refused with."""
    with pytest.raises(WSServerHandshakeError) as refusal:
        await door.client.ws_connect(f"{PATH}{query}", **options)
    return refusal.value.status


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token", "TOKEN"])
async def test_key_in_a_header(open_door: OpenDoor, scheme: str) -> None:
    """A key opens a session, in a header of either scheme."""
    door = await open_door()
    messages = await speak(door, headers={"Authorization": f"{scheme} {door.key()}"})
    assert messages[0]["auth"] is True
    assert messages[-1]["full_transcription"]


@pytest.mark.parametrize(
    ("offer", "chosen"),
    [
        (("sttgate.v2", "bearer", "{key}"), "sttgate.v2"),
        (("token", "{key}"), "token"),
        (("sttgate.v2", "sttgate.bearer.{key}"), "sttgate.v2"),
    ],
)
async def test_key_in_a_subprotocol(
    open_door: OpenDoor, offer: tuple[str, ...], chosen: str
) -> None:
    """A browser shows its key as a subprotocol, and never gets it back."""
    door = await open_door()
    offered = tuple(part.format(key=door.key()) for part in offer)
    async with door.connect("", protocols=offered) as socket:
        assert socket.protocol == chosen


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer stt_nobody_secret"},
        {"Authorization": "Basic c29tZTpib2R5"},
        {"Sec-WebSocket-Protocol": "bearer"},
        {"Authorization": "Bearer " + "x" * 7000},
    ],
)
async def test_no_key(open_door: OpenDoor, headers: dict[str, str]) -> None:
    """Without a valid key there is no upgrade, and nothing of a session."""
    door = await open_door()
    assert await refused(door, headers=headers) == 401
    assert not door.gateway.sessions


async def test_key_in_the_address(open_door: OpenDoor) -> None:
    """A key in a URL, where it would end in logs, is not taken."""
    door = await open_door()
    assert await refused(door, f"?protocol=2&token={door.key()}") == 401


async def test_scopes(open_door: OpenDoor) -> None:
    """A key does what its scopes say, no more; ``admin`` does all."""
    door = await open_door()
    read, transcribe, admin = door.key("read"), door.key("transcribe"), door.key("admin")
    assert await refused(door, headers=bearer(read)) == 403
    assert await door.status("GET", "/metrics", read) == 403
    assert await door.status("GET", "/metrics", transcribe) == 403
    assert await door.status("GET", "/metrics", admin) == 200
    assert (await speak(door, headers=bearer(admin)))[-1]["full_transcription"]


async def test_health_needs_no_key(open_door: OpenDoor) -> None:
    """Who asks whether the service lives shows nothing."""
    door = await open_door()
    assert await door.status("GET", "/livez") == 200
    assert await door.status("GET", "/readyz") == 200
    assert await door.status("GET", "/metrics") == 401


async def test_guessing_is_slow(open_door: OpenDoor) -> None:
    """After some wrong keys an address waits, also with a good one; the answer is always the same."""
    door = await open_door()
    answers = set()
    for _ in range(FAILURES_PER_MINUTE):
        async with door.client.get("/metrics", headers=bearer("stt_0_0")) as response:
            assert response.status == 401
            answers.add(await response.text())
    assert len(answers) == 1
    async with door.client.get("/metrics", headers=bearer(door.key("admin"))) as response:
        assert response.status == 429
        assert int(response.headers["Retry-After"]) >= 1


async def test_revoking_cuts_sessions(open_door: OpenDoor) -> None:
    """A revoked key ends what it opened: in protocol 2 with 4401, and what was said is stored."""
    door = await open_door()
    key, presented = door.gate.keys.create("leaver", ["transcribe"])
    _, staying = door.gate.keys.create("stayer", ["transcribe"])
    async with (
        door.connect(headers=bearer(presented)) as leaver,
        door.connect("", headers=bearer(presented)) as old,
        door.connect(headers=bearer(staying)) as stayer,
    ):
        for socket in (leaver, old, stayer):
            await socket.send_json({"event": "start"})
            await socket.send_bytes(tone(0.5))
            await receive_until(socket, "transcript")
        door.gate.keys.revoke(key.id)
        messages = await receive_until(leaver, "stopped")
        error = next(m for m in messages if m["event"] == "error")
        assert error["code"] == "unauthorized"
        assert (await leaver.receive(timeout=10)).type is WSMsgType.CLOSE
        assert leaver.close_code == 4401
        stopped = (await receive_until(old, "stopped"))[-1]
        assert (await old.receive(timeout=10)).type is WSMsgType.CLOSE
        assert old.close_code == 1008
        await stayer.send_json({"event": "stop"})
        assert (await receive_until(stayer, "stopped"))[-1]["full_transcription"]
    stored = await door.gateway.transcripts.get(stopped["session_id"])
    assert stored is not None
    assert stored.text == "heard 0.5 seconds"
    assert await refused(door, headers=bearer(presented)) == 401


async def test_sessions_have_an_owner(open_door: OpenDoor) -> None:
    """What a key opens is stored as its own."""
    door = await open_door()
    key, presented = door.gate.keys.create("owner", ["transcribe"])
    stopped = (await speak(door, headers=bearer(presented)))[-1]
    stored = await door.gateway.transcripts.get(stopped["session_id"])
    assert stored is not None
    assert stored.session.start.owner == key.id


async def test_no_session_of_others_to_resume(open_door: OpenDoor) -> None:
    """The token of a session is no good with somebody else's key."""
    door = await open_door()
    mine, other = door.key(), door.key()
    async with door.connect(headers=bearer(mine)) as socket:
        await socket.send_json({"event": "start", "resumable": True})
        started = (await receive_until(socket, "started"))[-1]
        resume = {
            "session_id": started["session_id"],
            "token": started["resume_token"],
            "last_seq": 0,
        }
        async with door.connect(headers=bearer(other)) as thief:
            await thief.send_json({"event": "start", "resume": resume})
            error = (await receive_until(thief, "error"))[-1]
            assert error["code"] == "session_not_found"
        async with door.connect(headers=bearer(mine)) as again:
            await again.send_json({"event": "start", "resume": resume})
            assert (await receive_until(again, "resumed"))[-1]["session_id"] == started[
                "session_id"
            ]
            await again.send_json({"event": "stop"})
            await receive_until(again, "stopped")


class TestStarting:
    """Beyond this machine nobody gets in by accident."""

    def gate(self, folder: Path, host: str, **access: object) -> Gate:
        """Return the gate of a server that listens on ``host``."""
        return Gate.from_config(build_config(folder, server={"host": host}, access=access))

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "a.example"])
    async def test_others_need_a_key(self, tmp_path: Path, host: str) -> None:
        """Where others can connect, a start without a key is refused with what to do."""
        gate = self.gate(tmp_path, host)
        with pytest.raises(NobodyMayEnter, match="sttgate keys create"):
            gate.open()
        gate.keys.create("somebody", ["transcribe"])
        gate.open()
        await gate.close()

    async def test_insecure(self, tmp_path: Path) -> None:
        """Only who says so lets everybody in."""
        gate = self.gate(tmp_path, "0.0.0.0", insecure=True)
        gate.open()
        assert not gate.enforced
        await gate.close()

    async def test_loopback(self, tmp_path: Path) -> None:
        """On this machine nobody is asked, unless it is wanted."""
        assert not self.gate(tmp_path, "127.0.0.1").enforced
        assert self.gate(tmp_path, "127.0.0.1", required=True).enforced

    async def test_only_keys_that_hold_count(self, tmp_path: Path) -> None:
        """A key that is revoked lets nobody in, so it is as if there were none."""
        gate = self.gate(tmp_path, "0.0.0.0")
        key, _ = gate.keys.create("somebody", ["transcribe"])
        gate.keys.revoke(key.id)
        with pytest.raises(NobodyMayEnter):
            gate.open()


async def test_a_key_made_while_serving(open_door: OpenDoor, tmp_path: Path) -> None:
    """A key from another process is good within a second or two."""
    from sttgate.access.keys import KeyFile

    door = await open_door()
    _, presented = KeyFile(tmp_path / "data" / "keys.json").create("late", ["admin"])
    async with asyncio.timeout(10):
        while await door.status("GET", "/metrics", presented) != 200:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.3)


async def test_proxies_may_be_named_while_it_runs(open_door: OpenDoor) -> None:
    """Who guesses behind a proxy keeps everybody behind it out, until the proxy is trusted."""
    door = await open_door()
    for _ in range(FAILURES_PER_MINUTE):
        await door.status("GET", "/metrics", "stt_0_0")

    async def status(address: str) -> int:
        headers = bearer(door.key("admin")) | {"X-Forwarded-For": address}
        async with door.client.get("/metrics", headers=headers) as response:
            return response.status

    assert await status("192.0.2.1") == 429
    door.gate.use(LimitsConfig.model_validate({"trusted_proxies": ["127.0.0.0/8"]}))
    assert await status("192.0.2.1") == 200
