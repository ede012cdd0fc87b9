"""A configuration that changes while the gateway runs."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from aiohttp import ClientSession
from structlog.testing import capture_logs

from sttgate.config import Config
from sttgate.config.load import SECTIONS
from sttgate.errors import RequestError
from sttgate.gateway import Gateway
from sttgate.protocols.native import PATH
from sttgate.reloading import LIVE, Reloader, needs_restart
from sttgate.session.params import SessionParams
from sttgate.testing import tone
from tests.cli.commands import configure, serve, start
from tests.conftest import MakeGateway
from tests.docs.pages import ROOT
from tests.gateways import build_config, finals, receive_until
from tests.operations.conftest import until


def params(provider: str | None = None) -> SessionParams:
    """Return what a session of any protocol asks for."""
    return SessionParams(protocol="test", provider=provider)


def reloader(folder: Path, gateway: Gateway, before: dict[str, object]) -> Reloader:
    """Return what reloads ``config.yaml`` in ``folder``."""
    config = build_config(folder, **before)

    def load() -> Config:
        from sttgate.config import load_config

        return load_config(folder / "config.yaml", environ={}, cwd=folder, plugins=config.plugins)

    return Reloader(config, gateway, load)


async def gone(gateway: Gateway) -> None:
    """Wait until no session is left."""
    await until(lambda: not gateway.sessions)


def echo(*lines: str) -> dict[str, object]:
    """Return the block of an echo provider."""
    return {"use": "echo", "script": list(lines)}


async def test_providers_change_under_a_running_session(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    """A running session finishes with its provider, which is then closed; a new one gets the new."""
    before: dict[str, object] = {
        "providers": {"one": echo("old words"), "kept": echo("same words")},
        "chain": ["one"],
    }
    gateway = await make_gateway(**before)
    config = reloader(tmp_path, gateway, before)
    old, kept = gateway.providers["one"], gateway.providers["kept"]
    running = await gateway.open_session(params())
    running.append(tone(4.0))
    build_config(
        tmp_path,
        providers={"one": echo("new words"), "two": echo("others"), "kept": echo("same words")},
        chain=["one", "two"],
    )
    await config.reload()
    assert [provider.name for provider in gateway.chain] == ["one", "two"]
    assert gateway.providers["kept"] is kept
    assert gateway.providers["one"] is not old
    assert old.is_open
    fresh = await gateway.open_session(params())
    fresh.append(tone(4.0))
    for session in (running, fresh):
        session.stop()
    await gone(gateway)
    texts = []
    for session in (running, fresh):
        stored = await gateway.transcripts.get(session.id)
        assert stored is not None
        texts.append(stored.text)
    assert texts == ["old words", "new words"]
    assert gateway._retired == set()
    assert gateway.tally.reloads == {"applied": 1}


async def test_a_provider_that_is_removed(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """A provider that is gone cannot be asked for any more; who has it keeps it, then it is closed."""
    before: dict[str, object] = {
        "providers": {"one": echo("a"), "two": echo("b")},
        "chain": ["one"],
    }
    gateway = await make_gateway(**before)
    config = reloader(tmp_path, gateway, before)
    removed = gateway.providers["two"]
    running = await gateway.open_session(params("two"))
    running.append(tone(4.0))
    await until(lambda: removed.is_open)
    build_config(tmp_path, providers={"one": echo("a")}, chain=["one"])
    await config.reload()
    with pytest.raises(RequestError, match="no provider 'two'"):
        await gateway.open_session(params("two"))
    assert removed.is_open
    running.stop()
    await gone(gateway)
    stored = await gateway.transcripts.get(running.id)
    assert stored is not None
    assert stored.text == "b"
    assert gateway._retired == set()


@pytest.mark.parametrize(
    "mistake",
    [
        "chain: [nobody]",
        "chain: [echo",
        "servr: {}",
        "providers: {deepgram: {}}\nchain: [deepgram]",
        "providers: {echo: {script: 3}}",
    ],
)
async def test_mistakes_change_nothing(
    make_gateway: MakeGateway, tmp_path: Path, mistake: str
) -> None:
    """A configuration with a mistake is not used, not even in part, and the old one goes on."""
    gateway = await make_gateway()
    config = reloader(tmp_path, gateway, {})
    lineup, limits = gateway.lineup, gateway.admission.limits
    (tmp_path / "config.yaml").write_text(f"limits: {{idle_s: 5}}\n{mistake}\n")
    await config.reload()
    assert gateway.lineup is lineup
    assert gateway.admission.limits is limits
    assert gateway.tally.reloads == {"failed": 1}


async def test_limits(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """New limits hold for the next session."""
    gateway = await make_gateway()
    config = reloader(tmp_path, gateway, {})
    first = await gateway.open_session(params())
    build_config(tmp_path, server={"port": 0, "max_sessions": 1})
    await config.reload()
    with pytest.raises(RequestError, match="full"):
        await gateway.open_session(params())
    first.stop()
    await gone(gateway)
    again = await gateway.open_session(params())
    again.stop()
    await gone(gateway)


ACCESS = ("access.required", "access.origins")


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ({"server": {"port": 9}}, ["server.port"]),
        ({"server": {"port": 0, "drain_timeout_s": 1}}, []),
        ({"spool": {"path": "elsewhere", "min_free_mb": 1}}, ["spool.path"]),
        ({"transcripts": {"use": "sqlite", "path": "other.db"}}, ["transcripts.path"]),
        ({"access": {"required": True, "origins": ["https://a.example"]}}, [*ACCESS]),
        ({"log": {"level": "debug", "format": "json"}}, ["log.format"]),
        ({"plugins": {"dirs": [], "disabled": ["whisper"]}}, ["plugins.disabled"]),
        ({"limits": {"idle_s": 1}, "retention": {"transcripts_days": 1}}, []),
    ],
)
def test_what_needs_a_restart(tmp_path: Path, section: dict[str, object], keys: list[str]) -> None:
    """What cannot change while it runs is named."""
    assert needs_restart(build_config(tmp_path), build_config(tmp_path, **section)) == keys


async def test_what_waits_for_a_restart_is_named_until_then(
    make_gateway: MakeGateway, tmp_path: Path
) -> None:
    """Each reload names all keys that differ from what the gateway started with, in one line."""
    gateway = await make_gateway()
    config = reloader(tmp_path, gateway, {})

    async def waiting(**sections: object) -> list[str]:
        build_config(tmp_path, **sections)
        with capture_logs() as lines:
            await config.reload()
        (keys,) = [line["keys"] for line in lines if line["event"] == "config_needs_restart"] or [
            []
        ]
        return list(keys)

    changed: dict[str, object] = {"server": {"port": 9}, "uploads": {"at_once": 3}}
    assert await waiting(**changed) == ["server.port", "uploads.at_once"]
    assert await waiting(**changed, limits={"idle_s": 9}) == ["server.port", "uploads.at_once"]
    assert await waiting(server={"port": 9}) == ["server.port"]
    assert await waiting() == []


async def test_room_to_keep_free(make_gateway: MakeGateway, tmp_path: Path) -> None:
    """How much room the spool's disk must have can be changed while it runs out."""
    gateway = await make_gateway(spool={"min_free_mb": 2**40})
    with pytest.raises(RequestError, match="full"):
        await gateway.open_session(params())
    build_config(tmp_path, spool={"min_free_mb": 0})
    await reloader(tmp_path, gateway, {"spool": {"min_free_mb": 0}}).reload()
    session = await gateway.open_session(params())
    session.stop()
    await gone(gateway)


def test_every_key_is_of_one_kind() -> None:
    """The documentation says of every key that holds at once that it does; all others are named."""
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    table = page.partition("## Changing it while it runs")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    at_once = {key for row in rows for key in re.findall(r"`([a-z_.]+)`", row.split("|")[1])}
    assert at_once == {*LIVE, "providers", "chain", "limits", "retention"}
    restart = next(line for line in table.splitlines() if line.startswith("| everything else"))
    named = {*re.findall(r"`([a-z_.]+)`", restart.split("|")[1])}
    assert named == {*SECTIONS} - {"providers", "chain", "limits", "retention"}


def by_hand(folder: Path, pid: int, content: str) -> None:
    """Write the file as an editor does, and leave the rest to the watch."""
    fresh = folder / "config.yaml.new"
    fresh.write_text(content)
    os.replace(fresh, folder / "config.yaml")


def by_signal(folder: Path, pid: int, content: str) -> None:
    """Write the file and send SIGHUP."""
    (folder / "config.yaml").write_text(content)
    os.kill(pid, signal.SIGHUP)


async def test_the_level_of_the_log(tmp_path: Path) -> None:
    """``log.level`` changes at once."""
    configure(tmp_path, log={"level": "error"})
    with serve(tmp_path) as (running, url):
        async with ClientSession(url) as client:
            await client.get("/first")
            configure(tmp_path, log={"level": "info"})
            running.process.send_signal(signal.SIGHUP)
            running.wait_for("config_reloaded")
            await client.get("/second")
            running.wait_for("/second")
        assert "/first" not in running.err


async def test_variables_beside_the_file(tmp_path: Path) -> None:
    """A changed ``.env`` is noticed like a changed configuration."""
    (tmp_path / ".env").write_text("WORDS='old words'\n")
    configure(tmp_path, providers={"echo": echo("${WORDS}")})
    with serve(tmp_path) as (running, url):
        (tmp_path / ".env").write_text("WORDS='new words'\n")
        running.wait_for("config_reloaded")
        async with ClientSession(url) as client, client.ws_connect(PATH) as socket:
            await socket.send_str('{"event":"start"}')
            await socket.send_bytes(tone(4.0))
            await socket.send_str('{"event":"stop"}')
            assert finals(await receive_until(socket, "stopped")) == ["new words"]


async def test_debug_stays(tmp_path: Path) -> None:
    """What --debug asked for holds, whatever ``log.level`` becomes."""
    configure(tmp_path)
    with start(tmp_path, "--debug", "serve") as running:
        url = running.wait_for("sttgate is ready at ").strip()
        configure(tmp_path, log={"level": "error"})
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("config_reloaded")
        async with ClientSession(url) as client:
            await client.get("/livez")
        running.wait_for("/livez")  # probes are for debugging


@pytest.mark.parametrize("change", [by_hand, by_signal])
async def test_a_running_server(tmp_path: Path, change: Callable[[Path, int, str], None]) -> None:
    """A provider is swapped on a running server, a mistake is told with its place and survived."""
    path = configure(tmp_path, providers={"echo": echo("old words")})
    content = yaml.safe_load(path.read_text())
    with serve(tmp_path) as (running, url):
        pid = running.process.pid
        async with ClientSession(url) as client, client.ws_connect(PATH) as socket:
            await socket.send_str('{"event":"start"}')
            await socket.send_bytes(tone(0.1))
            change(tmp_path, pid, "chain: [nobody]\n")
            running.wait_for("config_mistake")
            assert "config.yaml:1:9" in running.err
            content["providers"] = {"echo": echo("new words")}
            change(tmp_path, pid, yaml.safe_dump(content))
            running.wait_for("config_reloaded")
            async with client.ws_connect(PATH) as other:
                await other.send_str('{"event":"start"}')
                await other.send_bytes(tone(4.0))
                await other.send_str('{"event":"stop"}')
                assert finals(await receive_until(other, "stopped")) == ["new words"]
            await socket.send_bytes(tone(4.0))
            await socket.send_str('{"event":"stop"}')
            assert finals(await receive_until(socket, "stopped")) == ["old words"]
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 20
