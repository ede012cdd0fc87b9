"""``sttgate doctor``: what it looks at, and that it says what to do."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.cli.commands import Ran, configure, run


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
    for subject in ("Python", "SQLite", "configuration", "port", "spool", "transcripts", "echo"):
        assert any(line.startswith(f"✓ {subject}: ") for line in lines)


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
