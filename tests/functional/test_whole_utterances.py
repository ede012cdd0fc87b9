"""Real speech through the gateway to engines that take whole utterances."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.whisper_server import WhisperServer
from tests.functional.native import STOP, Message, Serve, Server
from tests.gateways import finals, receive_until
from tests.speech import SENTENCE, SENTENCE_SECONDS, chunks, sentence, whisper_model, word_errors


async def hear(server: Server) -> list[Message]:
    """Return what the gateway says of the reading."""
    async with server.connect("?protocol=2") as socket:
        await socket.send_str('{"event":"start","words":true}')
        for chunk in chunks(sentence()):
            await socket.send_bytes(chunk)
        await socket.send_str(STOP)
        return await receive_until(socket, "stopped", timeout=45)


def assert_understood(messages: list[Message], provider: str) -> None:
    """Nearly all words came, at their times, from this provider, and nothing went wrong."""
    stopped = messages[-1]
    assert (stopped["reason"], stopped["provider"]) == ("client", provider)
    assert word_errors(SENTENCE, " ".join(finals(messages))) < 0.2
    assert not [message for message in messages if message["event"] == "warning"]
    words: list[Any] = [
        word
        for message in messages
        if message["event"] == "transcript" and message["is_final"]
        for word in message["words"]
    ]
    times = [time for word in words for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert times[-1] <= SENTENCE_SECONDS
    assert 15 < len(words) < 30


@pytest.mark.parametrize("response_format", ["auto", "json"])
async def test_a_server_of_ones_own(serve: Serve, response_format: str) -> None:
    """The openai provider has a Whisper server at its base_url understand real speech."""
    async with WhisperServer() as whisper:
        server = await serve(
            "openai", base_url=whisper.url, model="tiny.en", response_format=response_format
        )
        messages = await hear(server)
        await server.client.close()
        assert whisper.heard
    assert_understood(messages, "openai")


async def test_whisper_in_the_gateway(serve: Serve) -> None:
    """The whisper provider understands real speech, in this process."""
    server = await serve("whisper", model=str(whisper_model()), workers=2)
    assert_understood(await hear(server), "whisper")


async def test_a_server_that_is_gone(serve: Serve) -> None:
    """When the server has gone, the next provider of the chain hears what it has not."""
    async with WhisperServer() as whisper:
        address = whisper.url
    server = await serve(
        sections={
            "providers": {
                "lost": {"use": "openai", "base_url": address},
                "whisper": {"model": str(whisper_model()), "workers": 2},
            },
            "chain": ["lost", "whisper"],
        }
    )
    messages = await hear(server)
    assert word_errors(SENTENCE, " ".join(finals(messages))) < 0.2
    assert messages[-1]["provider"] == "whisper"
