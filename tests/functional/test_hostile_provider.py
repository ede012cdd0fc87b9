"""Engines that answer to do harm: clients, logs, stores and other sessions bear it (T30)."""

from __future__ import annotations

import asyncio
import logging

import pytest
from structlog.testing import capture_logs

from sttgate.exports import FORMATS
from sttgate.testing import tone
from tests.functional.engines import hostile_engine
from tests.functional.native import Serve, Server
from tests.gateways import receive_until

NAMES = {name: f"engine{number}" for number, name in enumerate(hostile_engine.ALL)}
"""A provider for each thing to say."""


async def speak(server: Server, query: str, **start: object) -> tuple[str, list[str], str]:
    """Have a session; return what all of it was, the codes of its errors, and its id."""
    async with server.connect(query, max_msg_size=0) as socket:
        await socket.send_json({"event": "start", **start})
        await socket.send_bytes(tone(1.0))
        await socket.send_json({"event": "stop"})
        messages = await receive_until(socket, "stopped", 60)
    errors = [m.get("code", m["message"]) for m in messages if m["event"] == "error"]
    return messages[-1]["full_transcription"], errors, messages[-1]["session_id"]


async def export(server: Server, session_id: str) -> None:
    """Have a session written in every form there is."""
    for form in FORMATS:
        address = f"/api/v1/sessions/{session_id}/export?format={form}"
        async with server.client.get(address) as response:
            assert response.status == 200, (form, await response.text())
            await response.read()


@pytest.mark.timeout(180)
async def test_hostile_engines(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """What an engine says is text or an error of its own; it is logged without what was said."""
    server = await serve(
        sections={
            "providers": {name: {"use": "hostile", "says": says} for says, name in NAMES.items()},
            "chain": list(NAMES.values()),
        }
    )

    async def check(says: str, name: str) -> None:
        text, errors, session_id = await speak(server, "?protocol=2", provider=name, words=True)
        if says in hostile_engine.ODD:
            assert (errors, "heard 1" in text) == ([], True), says
        else:
            assert (len(errors), text) == (1, ""), says
            assert errors[0].startswith("provider_"), says
        recorded = await server.recording(session_id)
        assert recorded is not None, says
        assert len(recorded) == 32_000, says
        await export(server, session_id)

    async def check_base(says: str, name: str) -> None:
        text, errors, _ = await speak(server, "", provider=name)
        odd = says in hostile_engine.ODD
        assert (len(errors), "heard 1" in text) == (not odd, odd), says

    with capture_logs() as logged, caplog.at_level(logging.WARNING):
        for checked in (check, check_base):
            async with asyncio.TaskGroup() as group:
                for says, name in NAMES.items():
                    group.create_task(checked(says, name))
    happened = {entry["event"] for entry in logged}
    assert not happened & {"session_crashed", "native_connection_failed"}
    assert {"stream_failed", "provider_raised"} <= happened
    assert hostile_engine.SECRET not in f"{logged}{caplog.text}"


async def test_the_next_engine_is_heard(serve: Serve) -> None:
    """Where there is another engine in the chain it hears all that the hostile one did not."""
    server = await serve(
        sections={
            "providers": {"hostile": {"says": "times that are none"}, "echo": {}},
            "chain": ["hostile", "echo"],
        }
    )
    text, errors, _ = await speak(server, "?protocol=2")
    assert (text, errors) == ("heard 1.0 seconds", [])
