"""``sttgate doctor``: what it looks at, and that it says what to do."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from joserfc.jwk import ECKey

from sttgate.access.keys import KeyFile
from sttgate.cli.checks import doors, folders, machine
from sttgate.config import load_config
from tests.cli.commands import COMMAND, Ran, configure, run, serve, wait_for_audio
from tests.cli.test_serve import speaking
from tests.docs.pages import read, section, table
from tests.fakes.deepgram_server import FakeDeepgram
from tests.gateways import build_config

JWT = {"jwks_url": "https://a.example/keys", "issuer": "https://a.example", "audience": "b"}


def findings(ran: Ran) -> dict[str, tuple[str, str]]:
    """Return level and message by subject."""
    return {entry["subject"]: (entry["level"], entry["message"]) for entry in json.loads(ran.out)}


def test_healthy(tmp_path: Path) -> None:
    """A sound installation is a list of check marks, and exit code 0."""
    configure(tmp_path)
    ran = run(tmp_path, "doctor", "--online")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert all(line.startswith("✓ ") for line in lines), ran.out
    subjects = {line[2:].partition(": ")[0] for line in lines}
    assert subjects == {
        *("Python", "SQLite", "configuration", "clock", "descriptors", "access", "port"),
        *("plugins", "spool", "sync", "uploads", "disk of spool, uploads, transcripts, recordings"),
        *("formats of uploads", "left behind", "transcripts", "recordings", "echo", "file modes"),
    }
    page = section(read("docs/operations.md"), "What doctor looks at")
    documented = {name for row in table(page) for name in re.findall(r"`([^`]+)`", row[0])}
    undocumented = {subject.partition(" of spool")[0] for subject in subjects} - documented
    assert undocumented == {"disk", "echo"}


def test_json(tmp_path: Path) -> None:
    """``--json`` prints the same for programs."""
    configure(tmp_path)
    found = findings(run(tmp_path, "doctor", "--json", "--online"))
    assert found["echo"] == ("ok", "answers")
    assert found["transcripts"] == ("ok", "sqlite works")
    assert {level for level, _ in found.values()} == {"ok"}


def test_missing_key(tmp_path: Path) -> None:
    """A provider without a key is a warning while another one is there, and says what it wants."""
    providers: dict[str, object] = {"deepgram": {}, "echo": {}}
    configure(tmp_path, providers=providers, chain=["deepgram", "echo"])
    ran = run(tmp_path, "doctor", "--json")
    level, message = findings(ran)["deepgram"]
    assert (ran.code, level) == (0, "warning")
    assert "DEEPGRAM_API_KEY" in message


def test_no_provider(tmp_path: Path) -> None:
    """A chain in which no provider has what it needs is an error."""
    configure(tmp_path, providers={"deepgram": {}}, chain=["deepgram"])
    ran = run(tmp_path, "doctor", "--json")
    assert ran.code == 1
    assert findings(ran)["chain"][0] == "error"


def test_key_is_not_shown(tmp_path: Path) -> None:
    """A key that is there is used and never printed."""
    configure(tmp_path, providers={"deepgram": {}}, chain=["deepgram"])
    ran = run(tmp_path, "doctor", env={"DEEPGRAM_API_KEY": "a-secret-key-for-this-test"})
    assert ran.code == 0
    assert "✓ deepgram: is configured" in ran.out
    assert "a-secret-key" not in ran.out + ran.err


def test_mistakes(tmp_path: Path) -> None:
    """Every mistake of the configuration is an error with its place."""
    configure(tmp_path, server={"prot": 1}, chain=["nobody"])
    ran = run(tmp_path, "doctor")
    assert ran.code == 1
    assert "✗ configuration: config.yaml:" in ran.out
    assert "server.prot: unknown key" in ran.out
    assert "chain[0]: no provider has the name 'nobody'" in ran.out


@pytest.mark.parametrize(
    ("section", "content"),
    [
        ("spool", {"path": "file/spool"}),
        ("uploads", {"path": "file/uploads"}),
        ("transcripts", {"use": "sqlite", "path": "file/sttgate.db"}),
        ("recordings", {"use": "files", "path": "file/recordings"}),
    ],
)
def test_unusable_folder(tmp_path: Path, section: str, content: dict[str, object]) -> None:
    """A folder that cannot be used is an error of that part alone."""
    (tmp_path / "file").write_text("mine")
    configure(tmp_path, **{section: content})
    ran = run(tmp_path, "doctor", "--json")
    found = findings(ran)
    assert ran.code == 1
    assert found[section][0] == "error"
    assert str(tmp_path / "file") in found[section][1]
    assert [subject for subject, (level, _) in found.items() if level != "ok"] == [section]
    assert (tmp_path / "file").read_text() == "mine"


def test_damaged_database(tmp_path: Path) -> None:
    """A damaged database is an error, and is left as it is."""
    configure(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sttgate.db").write_bytes(b"my notes\n" * 100)
    ran = run(tmp_path, "doctor", "--json")
    assert ran.code == 1
    assert findings(ran)["transcripts"][0] == "error"
    assert (tmp_path / "data" / "sttgate.db").read_bytes() == b"my notes\n" * 100


def test_port_in_use(tmp_path: Path) -> None:
    """A port that is taken is a warning: it may be the gateway itself that has it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        configure(tmp_path, server={"port": port})
        ran = run(tmp_path, "doctor", "--json")
    level, message = findings(ran)["port"]
    assert (ran.code, level) == (0, "warning")
    assert "server.port" in message


def test_open_to_the_network(tmp_path: Path) -> None:
    """An address that others reach is an error, as long as anybody may come in."""
    configure(tmp_path, server={"host": "0.0.0.0", "port": 0})
    ran = run(tmp_path, "doctor", "--json")
    assert ran.code == 1
    assert findings(ran)["access"][0] == "error"


def without(*names: str) -> tuple[str, ...]:
    """Return the command in an installation that lacks some modules."""
    lack = "".join(f"sys.modules[{name!r}] = None; " for name in names)
    program = f"import sys; {lack}from sttgate.cli import main; main()"
    return (sys.executable, "-c", program)


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Ran]]:
    """A folder in which everything is wrong that can be at the same time, and what doctor says."""
    folder = tmp_path_factory.mktemp("sick")
    under_500 = ("sh", "-c", 'ulimit -n 500; exec "$@"', "sh", *COMMAND)
    with socket.create_server(("127.0.0.1", 0)) as taken:

        async def examine() -> Ran:
            async with FakeDeepgram(api_key="the-right-one") as server:
                deepgram = {"use": "deepgram", "base_url": server.url}
                path = configure(
                    folder,
                    spool={"min_free_mb": 2**30},
                    metrics={"port": taken.getsockname()[1]},
                    traces={"endpoint": "http://127.0.0.1:1/v1/traces"},
                    access={
                        "required": True,
                        "jwt": {"jwks_url": f"{server.url}/none", "issuer": "a", "audience": "b"},
                    },
                    providers={
                        "deepgram": deepgram | {"api_key": "in-plain-sight"},
                        "gone": deepgram | {"api_key": "x", "base_url": "http://127.0.0.1:1"},
                        "echo": {},
                    },
                )
                config = load_config(path, environ={}, cwd=folder)
                KeyFile(config.access.keys).create("somebody", ["read"])
                for name in ("data/spool", "recordings"):
                    (folder / name).mkdir()
                (folder / "data" / "sttgate.db").touch()
                for name in ("data", "recordings"):
                    (folder / name).chmod(0o755)
                for name in ("data/keys.json", "data/sttgate.db", "config.yaml"):
                    (folder / name).chmod(0o644)
                for above in [folder, *folder.parents]:
                    if above.stat().st_uid == os.geteuid():
                        above.chmod(above.stat().st_mode | 0o001)
                if os.geteuid() == 0:
                    os.chown(folder / "data" / "spool", 65_534, 65_534)
                tomorrow = time.time() + 86_400
                os.utime(path, (tomorrow, tomorrow))
                command = ("doctor", "--json", "--online")
                return await asyncio.to_thread(run, folder, *command, command=under_500)

        yield folder, asyncio.run(examine())


@pytest.mark.parametrize(
    ("subject", "level", "says"),
    [
        ("descriptors", "warning", "there are 500 and 1000 sessions may need"),
        ("descriptors", "warning", "LimitNOFILE="),
        ("clock", "error", "config.yaml was written at"),
        ("disk of spool, uploads, transcripts, recordings", "error", "spool.min_free_mb"),
        ("metrics port", "warning", "set metrics.port"),
        ("traces", "warning", "nobody listens at http://127.0.0.1:1/v1/traces"),
        ("issuer", "error", "check access.jwt.jwks_url"),
        ("deepgram", "error", "key"),
        ("gone", "error", "127.0.0.1"),
        ("echo", "ok", "answers"),
    ],
)
def test_each_thing_that_is_wrong(
    sick: tuple[Path, Ran], subject: str, level: str, says: str
) -> None:
    """Each is found, whatever else is wrong, with what to do; those out of the chain are, too."""
    found = findings(sick[1])[subject]
    assert (sick[1].code, found[0]) == (1, level)
    assert says in found[1]


def test_file_modes(sick: tuple[Path, Ran]) -> None:
    """Keys, words and audio that everybody can read are warnings, each with the remedy."""
    folder, ran = sick
    for name in ("config.yaml", "data/keys.json", "data/sttgate.db"):
        assert f"chmod 600 {folder / name}" in ran.out
    assert f"chmod go-rwx {folder / 'recordings'}" in ran.out
    assert "in-plain-sight" not in ran.out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_owner(sick: tuple[Path, Ran]) -> None:
    """Data of another user are a warning: what doctor makes, that one could not write."""
    level, message = findings(sick[1])["owner"]
    assert (level, "sudo -u" in message) == ("warning", True)


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:45 / /srv/data rw,relatime shared:9 - nfs4 server:/data rw
41 22 0:46 / /srv/data/local rw - xfs /dev/sdb rw
42 22 0:47 / /srv/with\\040blank rw - cifs //server/share rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv", "ext4"),
        ("/srv/data/spool", "nfs4"),
        ("/srv/data/local/spool", "xfs"),
        ("/srv/with blank/spool", "cifs"),
        ("/srv/database", "ext4"),
    ],
)
def test_file_systems(path: str, kind: str) -> None:
    """What a path is on is told by the longest mount point above it."""
    assert folders.file_system(Path(path), MOUNTS) == kind


def test_a_spool_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool on a network's file system is a warning."""
    config = build_config(tmp_path)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"40 22 0:45 / {tmp_path} rw - nfs4 server:/data rw\n")
    monkeypatch.setattr(folders, "_MOUNTS", mounts)
    (found,) = folders.look_at_disks(config)
    assert (found.level, "use a local disk" in found.message) == ("warning", True)


def test_a_slow_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes long to sync is a warning with the time it takes."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: time.sleep(0.12))
    found = folders.look_at_syncing(tmp_path)
    assert (found.level, "spool.sync_interval_s" in found.message) == ("warning", True)
    assert list(tmp_path.iterdir()) == []


async def test_leftovers(tmp_path: Path) -> None:
    """Sessions of a process that died are a warning; those of one that lives are none."""
    configure(tmp_path)
    with serve(tmp_path) as (running, url):
        async with speaking(url, 2.0):
            wait_for_audio(tmp_path, 1.0)
            assert findings(run(tmp_path, "doctor", "--json"))["left behind"][0] == "ok"
            running.process.send_signal(signal.SIGKILL)
            running.process.wait(10)
    level, message = findings(run(tmp_path, "doctor", "--json"))["left behind"]
    assert level == "warning"
    assert message.startswith("1 session lies in ")


@pytest.mark.parametrize(
    ("access", "keys", "level", "says"),
    [
        ({"insecure": True}, None, "error", "set access.insecure to false"),
        ({}, None, "error", "run `sttgate keys create NAME`"),
        ({}, "no JSON", "error", "keys.json"),
        ({"jwt": JWT}, None, "ok", "takes tokens of https://a.example"),
    ],
)
def test_access_beyond_this_machine(
    tmp_path: Path, access: dict[str, object], keys: str | None, level: str, says: str
) -> None:
    """Where others can connect, everybody must need a key, and somebody must have one."""
    config = build_config(tmp_path, server={"host": "0.0.0.0", "port": 0}, access=access)
    if keys is not None:
        config.access.keys.parent.mkdir()
        config.access.keys.write_text(keys)
    found = doors.look_at_access(config)
    assert found.level == level
    assert says in found.message


def test_no_full_text_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SQLite that cannot search is an error."""

    class Poor(sqlite3.Connection):
        def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
            return super().execute("SELECT 'THREADSAFE=1'")

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, factory=Poor))
    (found,) = [each for each in machine.look_at_software() if each.subject == "SQLite"]
    assert (found.level, "has no FTS5" in found.message) == ("error", True)


def test_metrics_for_everybody(tmp_path: Path) -> None:
    """A metrics port beyond this machine is a warning."""
    ports = doors.look_at_ports(build_config(tmp_path, metrics={"port": 0, "host": "0.0.0.0"}))
    (found,) = [finding for finding in ports if finding.subject == "metrics port"]
    assert (found.level, "set metrics.host" in found.message) == ("warning", True)


def test_extras(tmp_path: Path) -> None:
    """What an extra would add is said, with the command that installs it; so does --set work."""
    configure(tmp_path)
    setting = ("--set", "traces.endpoint=http://127.0.0.1:1/v1/traces")
    command = without("opentelemetry.sdk", "av")
    ran = run(tmp_path, "doctor", "--json", *setting, command=command)
    found = findings(ran)
    assert (ran.code, found["traces"][0]) == (1, "error")
    assert "pip install 'sttgate[otel]'" in found["traces"][1]
    assert "pip install 'sttgate[uploads]'" in found["formats of uploads"][1]


def test_a_broken_plugin(tmp_path: Path) -> None:
    """A plugin that does not load is an error with its file and line."""
    configure(tmp_path)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "lab.py").write_text("import sttgate\nimport not_there\n")
    ran = run(tmp_path, "doctor")
    assert ran.code == 1
    assert "lab.py:2:1 plugin lab: ModuleNotFoundError" in ran.out


async def test_an_issuer(tmp_path: Path) -> None:
    """The keys of another issuer are fetched, and counted."""
    key = ECKey.generate_key("P-256").as_dict(private=False)

    async def give(request: web.Request) -> web.Response:
        return web.json_response({"keys": [key]})

    app = web.Application()
    app.router.add_get("/keys", give)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/keys"
    try:
        jwt = {"jwks_url": url, "issuer": "https://a.example", "audience": "b"}
        found = await doors.look_at_issuer(build_config(tmp_path, access={"jwt": jwt}))
        assert found is not None
        assert (found.level, found.message) == ("ok", f"{url} has 1 of its keys")
    finally:
        await runner.cleanup()
