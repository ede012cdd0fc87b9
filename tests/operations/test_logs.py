"""What the log says of sessions, and what it never says."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from pydantic import BaseModel, ValidationError

from sttgate.operations.logs import set_level, set_up_logs
from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.cli.commands import configure, start
from tests.fakes.deepgram_server import FakeDeepgram, Faults
from tests.fakes.openai_server import FakeOpenAI
from tests.gateways import receive_until

KEY = "key-quicksilver-0123456789"
WORDS = "zanzibar tangerine"
PLUGIN = '''
"""An engine whose author, and whose SDK, log more than they should."""
import json
import logging
import os
import sttgate

log, sdk = logging.getLogger(__name__), logging.getLogger("acme_sdk.wire")


class Chatty(sttgate.Provider):
    capabilities = sttgate.Capabilities()

    async def transcribe(self, audio, params):
        log.debug("a stream begins")
        heard, words = 0, os.environ["CHATTY_WORDS"]
        async for item in audio:
            if isinstance(item, bytes):
                heard += len(item)
                sdk.debug("POST Authorization: %s", os.environ["CHATTY_KEY"])
                sdk.info("response: %s", words)
        sdk.warning("the connection is slow")
        end = heard / 2 / params.sample_rate
        yield sttgate.Transcript(text=words, start=0.0, end=end, is_final=True)
        if heard > 4 * params.sample_rate:
            json.loads('{"text": ' + words)


@sttgate.hookimpl
def sttgate_providers():
    return [sttgate.ProviderSpec(name="chatty", summary="Talks.", factory=lambda options: Chatty(),
                                 options=sttgate.Options)]
'''


async def speak(url: str, provider: str, seconds: float = 6.0) -> str:
    """Have a session with a provider; return its id."""
    async with ClientSession() as http, http.ws_connect(f"{url}{PATH}?protocol=2") as socket:
        await socket.send_json({"event": "start", "provider": provider, "title": WORDS})
        await socket.send_bytes(tone(seconds))
        await socket.send_str("no json, but " + WORDS)
        await socket.send_json({"event": "mark", "label": WORDS})
        await socket.send_json({"event": "stop"})
        return str((await receive_until(socket, "stopped"))[-1]["session_id"])


# What is about the process, or about a request: a socket may have many sessions, or none.
NOT_ABOUT_A_SESSION = {"request", "draining", "stopping", "event_loop_stalled"}


async def test_a_real_session_at_debug(tmp_path: Path) -> None:
    """Lines about a session name it, plugins' too; no line has words, keys or audio, whoever logs."""
    drop = tmp_path / "plugins"
    drop.mkdir()
    (drop / "chatty.py").write_text(PLUGIN)
    faults = Faults(malformed_every=5, unknown_every=4)
    async with (
        FakeDeepgram([WORDS] * 3, api_key=KEY, faults=faults) as deepgram,
        FakeOpenAI(api_key=KEY) as openai,
    ):
        configure(
            tmp_path,
            providers={
                "echo": {"script": [WORDS], "die_after": 1.0},
                "deepgram": {"api_key": KEY, "base_url": deepgram.url},
                "openai": {"api_key": KEY, "base_url": openai.url},
                "chatty": {},
            },
            chain=["echo"],
        )
        secrets = {"CHATTY_KEY": KEY, "CHATTY_WORDS": WORDS}
        with start(tmp_path, "--debug", "serve", **secrets) as running:
            url = running.wait_for("ready at ").strip()
            names = ("echo", "deepgram", "openai", "chatty")
            sessions = [speak(url, name) for name in names]
            ids = dict(zip(names, await asyncio.gather(*sessions), strict=True))
            assert running.stop() == 0
            logged = running.err
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    for line in lines:
        assert {"event", "level", "logger", "timestamp"} <= line.keys()
        assert "session" in line or line["event"] in NOT_ABOUT_A_SESSION, line
        assert line.get("session") in {None, *ids.values()}
    by_session: dict[str | None, list[dict[str, Any]]] = {}
    for line in lines:
        by_session.setdefault(line.get("session"), []).append(line)
    for session in ids.values():
        events = [line["event"] for line in by_session[session]]
        assert {"native_message_ignored", "session_ended"} <= {*events}
    raised = [line for line in lines if line["event"] == "provider_raised"]
    assert raised
    assert all(line["error"] == "JSONDecodeError" for line in raised)
    chatty = {line["event"]: line for line in by_session[ids["chatty"]]}
    assert chatty["a stream begins"]["logger"].startswith("sttgate_plugin_chatty")
    assert chatty["the connection is slow"]["logger"] == "acme_sdk.wire"
    assert any(line["logger"].startswith("sttgate_deepgram") for line in lines)
    for secret in ("zanzibar", "tangerine", "quicksilver", KEY):
        assert secret not in logged.lower()
    assert "0000000000" not in logged  # PCM that somebody prints looks like this, or is long
    assert max(len(line) for line in logged.splitlines()) < 4000


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Leave pytest's own handlers and levels as they are."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("form", ["json", "console"])
def test_exceptions_do_not_quote(
    logging_as_before: None, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """A traceback has the places, the types and causes, and not the text that somebody choked on."""
    set_up_logs("debug", form)

    class Word(BaseModel):
        text: int

    try:
        try:
            Word.model_validate({"text": WORDS})
        except ValidationError as error:
            raise ExceptionGroup("two things", [OSError("disk full"), KeyError(WORDS)]) from error
    except ExceptionGroup:
        logging.getLogger("sttgate.gateway").exception("trouble")
    said = capsys.readouterr().err
    assert "zanzibar" not in said
    for part in ("ValidationError (", "two things", "OSError: disk full", "KeyError (", "line "):
        assert part in said


def test_libraries_are_held_at_warnings(
    logging_as_before: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a logger we do not know, warnings come through; of ours and of plugins, what was asked for."""
    set_up_logs("debug", "json")
    for name in ("botocore.auth", "sttgate.gateway", "sttgate_openai.client", "sttgate_plugin_x_1"):
        logging.getLogger(name).debug("detail")
        logging.getLogger(name).warning("trouble")
    set_level("error")
    logging.getLogger("sttgate.gateway").warning("no more of that")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    said = [(line["logger"], line["event"]) for line in lines]
    assert ("botocore.auth", "trouble") in said
    assert ("botocore.auth", "detail") not in said
    assert ("sttgate_plugin_x_1", "detail") in said
    assert len(said) == 7
