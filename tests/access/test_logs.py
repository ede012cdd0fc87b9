"""What is not in the logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.cli.commands import configure, run, start
from tests.gateways import receive_until

WORDS = "zanzibar quicksilver"


async def test_no_key_and_no_word(tmp_path: Path) -> None:
    """Neither keys nor what was said are logged, at any level, wherever they were shown."""
    configure(
        tmp_path,
        access={"required": True},
        providers={"echo": {"script": [WORDS]}},
        limits={"sessions_per_address": 5},
    )
    made = run(tmp_path, "keys", "create", "somebody")
    assert made.code == 0, made.err
    key, wrong = made.out.strip(), "stt_marker_marker"
    with start(tmp_path, "--debug", "serve") as running:
        url = running.wait_for("ready at ").strip()
        async with ClientSession(url) as client:
            headers = {"Authorization": f"Bearer {key}"}
            async with client.ws_connect(f"{PATH}?protocol=2", headers=headers) as socket:
                await socket.send_json({"event": "start", "title": WORDS})
                await socket.send_bytes(tone(5.0))
                await socket.send_json({"event": "stop"})
                assert WORDS in (await receive_until(socket, "stopped"))[-1]["full_transcription"]
            for query, protocols in (
                (f"?token={wrong}", ()),
                (f"?token={key}", ()),
                ("", (wrong,)),
                ("", ("bearer", wrong)),
            ):
                with pytest.raises(WSServerHandshakeError):
                    await client.ws_connect(f"{PATH}{query}", protocols=protocols)
            async with client.get(f"/api/v1/sessions?q={WORDS}", headers=headers) as response:
                await response.read()
        running.stop()
        logged = running.err
    assert '"event": "session_state"' in logged
    random = key.split("_", 2)[2]  # it may have more of these, at its beginning too
    for secret in (key, random, "marker", "zanzibar", "quicksilver"):
        assert secret not in logged
