"""Projects made by ``sttgate new-plugin``: installed far from the checkout, tested, and used."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from sttgate.cli.scaffold import KINDS, Project
from sttgate.testing import silence, voice
from tests.cli.commands import assert_explained, environment, run
from tests.packaging.installing import Environment, build, call, copy_checkout

PATIENCE = 60.0  # seconds, on a machine that may be busy
RUFF = (sys.executable, "-m", "ruff")
SHORTEST, LONGEST = "a", "twenty-letters-at-it"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment that has the wheel of this checkout; projects are installed on top."""
    folder = tmp_path_factory.mktemp("new-plugin")
    wheel = build(copy_checkout(folder / "source"), "wheel", folder / "built")
    environment = Environment(folder / "venv")
    environment.install(wheel, folder)
    return environment


@contextmanager
def running(command: Sequence[str | Path], folder: Path, ready: str) -> Iterator[str]:
    """Run a command until the block ends; yield what the group of ``ready`` found in its output."""
    log = folder / f"{Path(command[1]).stem}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=environment(PYTHONPATH=""),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(ready, log.read_text("utf-8"))):
            assert process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, log.read_text("utf-8")
            time.sleep(0.02)
        yield found[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) in (0, 130), log.read_text("utf-8")
    finally:
        process.kill()
        process.wait()


def new(folder: Path, installed: Environment, kind: str) -> Path:
    """Make a project, install it, and return its folder."""
    made = installed.run(folder, "new-plugin", f"acme-{kind}", "--kind", kind)
    assert made.code == 0, made.err
    project = folder / made.out.strip()
    installed.install(project, folder)
    return project


def write_speech(folder: Path) -> Path:
    """Write a WAV file in which a voice activity detector finds two utterances."""
    with wave.open(str(folder / "talk.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(silence(0.5) + voice(2.2) + silence(1.2) + voice(1.2) + silence(0.5))
    return folder / "talk.wav"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["stream", "batch"])
def test_provider(kind: str, installed: Environment, tmp_path: Path) -> None:
    """A new provider passes its tests, ruff, mypy and the kit, and serves a session."""
    project = new(tmp_path, installed, kind)
    call(installed.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    call(*RUFF, "check", "--no-cache", ".", cwd=project)
    call(*RUFF, "format", "--no-cache", "--check", ".", cwd=project)
    call(installed.python, "-m", "mypy", f"--cache-dir={tmp_path / 'types'}", cwd=project)
    emulator = (installed.python, "tests/emulator.py", "0")
    with running(emulator, project, r"(\w+://127\.0\.0\.1:\d+\S*) with the key") as url:
        example = (project / "config.example.yaml").read_text("utf-8")
        config = project / "config.yaml"
        config.write_text(re.sub(r"\w+://127\.0\.0\.1:8765\S*", url, example), "utf-8")
        assert url in config.read_text("utf-8")
        tested = installed.run(project, "plugins", "test", f"acme-{kind}")
        assert (tested.code, "passed" in tested.out) == (0, True), tested
        serve = (installed.script, "serve", "--port", "0")
        with running(serve, project, r"ready at (http://\S+)") as gateway:
            talk = write_speech(project)
            heard = installed.run(project, "transcribe", "--server", gateway, talk)
    assert heard.code == 0, heard.err
    assert heard.out.startswith("one two three four"), heard
