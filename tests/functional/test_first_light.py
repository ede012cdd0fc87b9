"""The shortest way through the whole house."""

from __future__ import annotations

from pathlib import Path

from pytest_aiohttp.plugin import AiohttpClient

from sttgate.app import create_app
from sttgate.gateway import Gateway
from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.gateways import build_config, finals, receive_until, scripted


async def test_audio_becomes_text_that_is_stored_with_its_recording(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> None:
    """What goes in as audio comes out as finals, and both lie on disk afterwards."""
    gateway = Gateway.from_config(build_config(tmp_path, providers=scripted()))
    client = await aiohttp_client(create_app(gateway))
    pcm = tone(6.0)
    async with client.ws_connect(f"{PATH}?protocol=2") as socket:
        await socket.send_str('{"event":"start"}')
        for at in range(0, len(pcm), 3200):
            await socket.send_bytes(pcm[at : at + 3200])
        await socket.send_str('{"event":"stop"}')
        messages = await receive_until(socket, "stopped")
    stopped = messages[-1]
    assert finals(messages) == ["the first sentence is short", "and the second one is here"]
    assert stopped["full_transcription"] == " ".join(finals(messages))
    assert stopped["stored"] == {"transcript": True, "audio": True}
    conversation = await (await client.get(stopped["links"]["session"])).json()
    assert conversation["text"] == stopped["full_transcription"]
    assert conversation["state"] == "completed"
    audio = await (await client.get(stopped["links"]["audio"])).read()
    assert audio[44:] == pcm
    assert list((tmp_path / "data" / "spool").iterdir()) == []
