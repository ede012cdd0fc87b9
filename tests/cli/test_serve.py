"""``sttgate serve``: what it says at the start, what stops it, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from sttgate.access.addresses import is_loopback
from sttgate.protocols.native import PATH
from sttgate.testing import tone
from tests.cli.commands import (
    SCRIPT,
    assert_explained,
    configure,
    conversation,
    run,
    serve,
    start,
)
from tests.gateways import finals, receive_until

MISTAKES = """\
server:
  prot: 8000
providers:
  echo: {delay: -1}
  other: {}
chain: [echo, nobody]
"""
TORN = b"SQLite format 3\0" + b"\xee" * 8000


@asynccontextmanager
async def speaking(url: str, seconds: float) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Yield the socket of a session on the gateway at ``url`` that was sent audio."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}{PATH}?protocol=2") as ws:
        await ws.send_str('{"event": "start"}')
        await ws.send_bytes(tone(seconds))
        yield ws


class TestServing:
    async def test_banner_and_session(self, tmp_path: Path) -> None:
        """It says on stderr where it listens and who transcribes, and is ready when it says so."""
        configure(tmp_path)
        with serve(tmp_path) as (running, url):
            async with speaking(url, 6.0) as ws:
                await ws.send_str('{"event": "stop"}')
                assert finals(await receive_until(ws, "stopped")) == list(SCRIPT)
            assert running.stop() == 0
            assert running.process.stdout is not None
            assert running.process.stdout.read() == b""
            assert f"WebSocket   {url.replace('http', 'ws')}{PATH}" in running.err
            assert "provider    echo" in running.err
            assert f"config      {tmp_path / 'config.yaml'}" in running.err
            assert "WARNING" not in running.err
        assert conversation(tmp_path)["text"] == " ".join(SCRIPT)

    def test_no_command(self, tmp_path: Path) -> None:
        """``sttgate`` alone serves, and takes the options of ``serve``."""
        configure(tmp_path, server={"port": 1})
        with start(tmp_path, "--port", "0", "--host", "127.0.0.1") as running:
            assert running.wait_for("ready at ").startswith("http://127.0.0.1:")
            assert running.stop() == 0

    def test_no_configuration(self, tmp_path: Path) -> None:
        """Without a file and a key it starts with the local engine, and says why not with Deepgram."""
        with serve(tmp_path, "--port", "0") as (running, _):
            running.wait_for("config ")
            assert "provider    moonshine" in running.err
            assert "skipped     deepgram: no API key: set DEEPGRAM_API_KEY" in running.err
            assert "config      none; shipped defaults" in running.err
            assert running.stop() == 0

    def test_open_to_the_network(self, tmp_path: Path) -> None:
        """Where others can connect it starts with a key, or with a warning for who wants it."""
        configure(tmp_path)
        ran = run(tmp_path, "serve", "--host", "0.0.0.0")
        assert_explained(ran, 1, "sttgate keys create", "--insecure")
        with serve(tmp_path, "--host", "0.0.0.0", "--insecure") as (running, _):
            running.wait_for("WARNING     0.0.0.0 is open to the network")
            running.stop()
        assert run(tmp_path, "keys", "create", "somebody").code == 0
        with serve(tmp_path, "--host", "0.0.0.0") as (running, _):
            running.wait_for("access      with an API key")
            assert "WARNING" not in running.err
            running.stop()

    @pytest.mark.parametrize(
        ("host", "expected"),
        [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
         ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("a.example", False)],
    )  # fmt: skip
    def test_is_loopback(self, host: str, expected: bool) -> None:
        """Only addresses of this machine count as closed to others."""
        assert is_loopback(host) is expected

    def test_only_one_provider(self, tmp_path: Path) -> None:
        """``--provider`` and ``--set`` beat the file."""
        providers = {"first": {"use": "echo"}, "second": {"use": "echo"}}
        configure(tmp_path, providers=providers, chain=["first", "second"])
        options = ("--provider", "second", "--set", "spool.path=elsewhere")
        with serve(tmp_path, *options) as (running, _):
            running.wait_for("config ")
            assert "provider    second\n" in running.err
            assert (tmp_path / "elsewhere").is_dir()
            running.stop()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_stopped_while_somebody_speaks(tmp_path: Path, signum: signal.Signals) -> None:
    """A signal ends a live session the good way: the client gets the last words, all is stored."""
    configure(tmp_path, server={"port": 0, "drain_timeout_s": 0})
    with serve(tmp_path) as (running, url):
        async with speaking(url, 4.8) as ws:
            await receive_until(ws, "utterance_end")
            running.process.send_signal(signum)
            stopped = (await receive_until(ws, "stopped"))[-1]
        assert stopped["reason"] == "shutdown"
        assert stopped["full_transcription"] == f"{SCRIPT[0]} and the second one is"
        assert running.process.wait(60) == 0
        assert "Traceback" not in running.err
    stored = conversation(tmp_path)
    assert stored["text"] == stopped["full_transcription"]
    assert (stored["state"], stored["recording"]) == ("completed", True)
    assert len(list((tmp_path / "recordings").glob("*.wav"))) == 1


async def test_killed_while_somebody_speaks(tmp_path: Path) -> None:
    """After kill -9 the next start stores what had been said."""
    configure(tmp_path)
    with serve(tmp_path) as (running, url):
        async with speaking(url, 5.0) as ws:
            await receive_until(ws, "utterance_end")
            await asyncio.sleep(0.5)  # what is younger than this may be lost
            running.stop(signal.SIGKILL)
    with serve(tmp_path) as (running, _):
        running.wait_for("session_recovered")
        assert running.stop() == 0
    assert str(conversation(tmp_path)["text"]).startswith(SCRIPT[0])


class TestRefusing:
    """A start that cannot be: one sentence, an exit code, and nothing is touched."""

    def test_every_mistake(self, tmp_path: Path) -> None:
        """All mistakes of the configuration come at once, each with file, line and column."""
        (tmp_path / "config.yaml").write_text(MISTAKES)
        ran = run(tmp_path, "serve")
        assert_explained(
            ran,
            3,
            "config.yaml:2:3 server.prot: unknown key (did you mean 'port'?)",
            "config.yaml:4:17 providers.echo.delay: ",
            "config.yaml:5:3 providers.other: unknown type",
            "config.yaml:6:15 chain[1]: no provider has the name 'nobody'",
        )
        assert ran.err.count("\n") == 4
        assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]

    def test_no_yaml(self, tmp_path: Path) -> None:
        """A file that is no YAML names the place where it stops being YAML."""
        (tmp_path / "config.yaml").write_text("server: {port: 0\nchain: [")
        assert_explained(run(tmp_path, "serve"), 3, "config.yaml:1:9", "not closed")

    def test_no_file(self, tmp_path: Path) -> None:
        """A configuration that is not there brings the command that makes one."""
        ran = run(tmp_path, "serve", "--config", "none.yaml")
        assert_explained(ran, 3, "none.yaml", "sttgate config init none.yaml")

    def test_unknown_provider(self, tmp_path: Path) -> None:
        """An unknown provider on the command line is told with those there are."""
        configure(tmp_path)
        assert_explained(run(tmp_path, "serve", "--provider", "acho"), 3, "'acho'", "'echo'")

    def test_no_key(self, tmp_path: Path) -> None:
        """When the only provider has no key, the sentence names the variable and the option."""
        configure(tmp_path, providers={"deepgram": {}}, chain=["deepgram"])
        ran = run(tmp_path, "serve")
        assert_explained(ran, 4, "deepgram", "DEEPGRAM_API_KEY", "providers.deepgram.api_key")
        assert ran.err.count("\n") == 1

    def test_broken_plugin(self, tmp_path: Path) -> None:
        """A plugin that does not import is named with file, line, cause and the line that disables it."""
        (tmp_path / "plugins").mkdir()
        (tmp_path / "plugins" / "acme.py").write_text(
            "import sttgate\nimport acme_sdk_that_is_not\n"
        )
        configure(tmp_path)
        ran = run(tmp_path, "serve")
        assert_explained(ran, 3, "acme.py:2:1 plugin acme: ", "acme_sdk_that_is_not", "disabled")

    def test_port_in_use(self, tmp_path: Path) -> None:
        """A port that is taken is told with the key and the option that set another."""
        configure(tmp_path)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            ran = run(tmp_path, "serve", "--port", str(port))
        assert_explained(ran, 1, f"127.0.0.1:{port}", "in use", "server.port", "--port")
        assert ran.err.count("\n") == 1

    @pytest.mark.parametrize(
        ("section", "content"),
        [
            ("spool", {"path": "file/spool"}),
            ("transcripts", {"use": "sqlite", "path": "file/sttgate.db"}),
            ("recordings", {"use": "files", "path": "file/recordings"}),
        ],
    )
    def test_unusable_folder(
        self, tmp_path: Path, section: str, content: dict[str, object]
    ) -> None:
        """A folder that cannot be made is named, and the file in its way keeps its content."""
        (tmp_path / "file").write_text("mine")
        configure(tmp_path, **{section: content})
        ran = run(tmp_path, "serve")
        assert_explained(ran, 1, str(tmp_path / "file"))
        assert ran.err.count("\n") == 1
        assert (tmp_path / "file").read_text() == "mine"

    @pytest.mark.parametrize("content", [b"these are my notes\n" * 50, TORN])
    def test_damaged_database(self, tmp_path: Path, content: bytes) -> None:
        """A database that is damaged, or no database, is named and left as it is."""
        (tmp_path / "data").mkdir()
        database = tmp_path / "data" / "sttgate.db"
        database.write_bytes(content)
        configure(tmp_path)
        ran = run(tmp_path, "serve")
        assert_explained(ran, 1, str(database), "move")
        assert ran.err.count("\n") == 1
        assert database.read_bytes() == content


def test_logs_are_json_when_nobody_watches(tmp_path: Path) -> None:
    """Every line after the banner is a JSON object, so that log collectors can read it."""
    configure(tmp_path)
    with serve(tmp_path) as (running, _):
        running.wait_for("config ")
        running.stop()
        lines = [json.loads(line) for line in running.err.splitlines()[4:]]
    assert lines[-1]["event"] == "stopping"
