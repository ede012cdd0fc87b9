"""``sttgate`` itself: its commands, its exit codes, and what it says when something breaks."""

from __future__ import annotations

import os
import signal
import subprocess
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from click.testing import CliRunner

from sttgate.cli import root
from tests.cli.commands import (
    COMMAND,
    assert_explained,
    configure,
    environment,
    run,
    start,
    write_wav,
)

BREAKS = """
import sttgate

def factory(options):
    raise KeyError("a surprise")

@sttgate.hookimpl
def sttgate_providers():
    return [sttgate.ProviderSpec(name="odd", factory=factory)]
"""


def test_module_and_script(tmp_path: Path) -> None:
    """``python -m sttgate`` and the installed script are the same command."""
    assert run(tmp_path, "--version").out == f"sttgate {version('sttgate')}\n"
    (script,) = entry_points(group="console_scripts", name="sttgate")
    assert script.load() is __import__("sttgate.cli").cli.main


def test_help_lists_every_command() -> None:
    """The help names each command; each has a help of its own, with the same first words."""
    result = CliRunner().invoke(root, ["--help"])
    assert result.exit_code == 0
    context = root.make_context("sttgate", ["--help"], resilient_parsing=True)
    for name in root.list_commands(context):
        assert f"\n  {name}" in result.output
        assert CliRunner().invoke(root, [name, "--help"]).exit_code == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["serv"], ["no command 'serv'", "'serve'"]),
        (["transcribe"], ["Missing argument 'FILE...'"]),
        (["serve", "--port", "70000"], ["'--port'", "70000"]),
        (["--port", "70000"], ["'--port'", "70000"]),
        (["serve", "--set", "nonsense"], ["key.path=value"]),
    ],
)
def test_usage(args: list[str], words: list[str]) -> None:
    """A mistake on the command line exits with 2 and names the mistake."""
    result = CliRunner().invoke(root, args)
    assert result.exit_code == 2
    for word in words:
        assert word in result.output


def test_surprise(tmp_path: Path) -> None:
    """An error nobody foresaw is one sentence that says how to see more; --debug shows it all."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "odd.py").write_text(BREAKS)
    configure(tmp_path, providers={"odd": {}}, chain=["odd"])
    ran = run(tmp_path, "serve")
    assert_explained(ran, 1, "a surprise", "--debug")
    assert ran.err.count("\n") == 1
    assert "Traceback" in run(tmp_path, "--debug", "serve").err


def test_nobody_reads(tmp_path: Path) -> None:
    """A reader that goes away, such as ``head``, ends the command without a word."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [*COMMAND, "plugins", "list"],
            cwd=tmp_path,
            env=environment(),
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C exits with 130."""
    configure(tmp_path)
    with start(tmp_path, "--debug", "transcribe", "-") as running:
        assert running.process.stdin is not None
        half = write_wav(tmp_path / "talk.wav", 2.0).read_bytes()[:32_000]
        running.process.stdin.write(half)
        running.process.stdin.flush()
        running.wait_for("debug")
        assert running.stop(signal.SIGINT) == 130
