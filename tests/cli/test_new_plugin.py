"""Projects made by ``sttgate new-plugin``: installed far from the checkout, tested, and used."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
import wave
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sttgate.cli.new_plugin import new_plugin
from sttgate.cli.scaffold import KINDS, Project
from sttgate.testing import silence, voice
from tests.cli.commands import environment, run
from tests.packaging.checkout import CHECKOUT, CORE
from tests.packaging.installing import Environment, call

PATIENCE = 60.0  # seconds, on a machine that may be busy
RUFF = (sys.executable, "-m", "ruff")
SHORTEST, LONGEST = "a", "twentylettersatit-20"


@contextmanager
def running(command: Sequence[str | Path], folder: Path, ready: str) -> Iterator[str]:
    """Run a command until the block ends; yield what the group of ``ready`` found in its output."""
    log = folder / f"{Path(command[-1]).stem}.log"
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


class Made:
    """A project that was made, and installed in an environment with the sttgate of the checkout.

    That sttgate is not installed there a second time: the packaging tests do so, and it takes long.
    """

    def __init__(self, kind: str, folder: Path, types: Path) -> None:
        self._types = types
        self.name = f"acme-{kind}"
        self.installed = Environment(folder / "venv")
        paths = f"{CHECKOUT}\n{CHECKOUT / 'plugins'}\n"
        (self.installed.site / "checkout.pth").write_text(paths, "utf-8")
        self.sttgate = (self.installed.python, "-m", "sttgate")
        done = self.run(folder, "new-plugin", self.name, "--kind", kind)
        self.folder = folder / done.strip()
        self.installed.install(self.folder, folder)

    def run(self, folder: Path, *args: str | Path) -> str:
        """Run ``sttgate ARGS``, which must succeed; return what it printed."""
        command = [str(part) for part in self.sttgate]
        ran = run(folder, *args, env={"PYTHONPATH": ""}, command=command)
        assert ran.code == 0, ran
        return ran.out

    def check(self) -> None:
        """Have the project tested by its own tests, ruff and mypy, and the plugin by the kit."""
        python = self.installed.python
        commands = (
            (python, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            (*RUFF, "check", "--no-cache", "."),
            (*RUFF, "format", "--no-cache", "--check", "."),
            (python, "-m", "mypy", f"--cache-dir={self._types}"),
            (*self.sttgate, "plugins", "test", self.name),
        )
        with ThreadPoolExecutor(2) as threads:  # tests wait a lot
            started = [
                threads.submit(call, *command, cwd=self.folder, patience=4 * PATIENCE)
                for command in commands
            ]
            for done in started:
                done.result()

    def serve(self) -> str:
        """Serve one session as configured; return what was heard."""
        with wave.open(str(self.folder / "talk.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            speech = silence(0.5) + voice(2.2) + silence(1.2) + voice(1.2) + silence(0.5)
            file.writeframes(speech)
        serve = (*self.sttgate, "serve", "--port", "0")
        with running(serve, self.folder, r"ready at (http://\S+)") as gateway:
            heard = self.run(self.folder, "transcribe", "--server", gateway, "talk.wav")
            shown = json.loads(self.run(self.folder, "sessions", "show", "latest", "--json"))
            audio = f"{gateway}/api/v1/sessions/{shown['id']}/audio"
            with urllib.request.urlopen(audio, timeout=PATIENCE) as answer:
                assert answer.read(4) == b"RIFF"
        assert shown["text"].split() == heard.split()
        return heard


@pytest.fixture(scope="session")
def types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy remembers of sttgate from one project to the next."""
    return tmp_path_factory.mktemp("types")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["stream", "batch"])
def test_provider(kind: str, types: Path, tmp_path: Path) -> None:
    """A new provider passes its tests, ruff, mypy and the kit, and serves a session."""
    made = Made(kind, tmp_path, types)
    emulator = (made.installed.python, "tests/emulator.py", "0")
    with running(emulator, made.folder, r"(\w+://127\.0\.0\.1:\d+\S*) with the key") as url:
        example = (made.folder / "config.example.yaml").read_text("utf-8")
        config, count = re.subn(r"\w+://127\.0\.0\.1:8765\S*", url, example)
        assert count == 1
        (made.folder / "config.yaml").write_text(config, "utf-8")
        made.check()
        heard = made.serve()
    assert heard.startswith("one two three four"), heard


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "files"), [("transcripts", "sessions/*.json"), ("recordings", "*.wav")]
)
def test_store(kind: str, files: str, types: Path, tmp_path: Path) -> None:
    """A new store passes its tests, ruff, mypy and the kit, and keeps what a session leaves."""
    made = Made(kind, tmp_path, types)
    (made.folder / "config.example.yaml").rename(made.folder / "config.yaml")
    made.check()
    assert made.serve()
    assert len(list((made.folder / "data" / made.name).glob(files))) == 1


@pytest.mark.parametrize("name", [SHORTEST, LONGEST])
@pytest.mark.parametrize("kind", KINDS)
def test_names_of_any_length(kind: str, name: str, tmp_path: Path) -> None:
    """The code is in the form that ruff gives it, however long the name is."""
    Project(name, kind).write(tmp_path / "project")
    call(*RUFF, "check", "--no-cache", ".", cwd=tmp_path / "project")
    call(*RUFF, "format", "--no-cache", "--check", ".", cwd=tmp_path / "project")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STTGATE_CONFIG", raising=False)
    return tmp_path


def make(*arguments: str) -> Result:
    return CliRunner().invoke(new_plugin, arguments)


def assert_refused(result: Result, code: int, sentence: str) -> None:
    """Assert that nothing was made, for a reason that is told."""
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in " ".join(result.stderr.split())


def test_any_spelling(home: Path) -> None:
    """A name may be written as people write it; the next commands are told."""
    result = make("sttgate_Acme Speech", "--dir", "here")
    assert (result.exit_code, result.stdout) == (0, "here\n")
    assert "sttgate plugins show acme-speech" in result.stderr
    assert (home / "here" / "src" / "sttgate_acme_speech" / "__init__.py").exists()
    assert (home / "here" / ".gitignore").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("7up", "'7up' is no name for a plugin: use letters, digits and '-'"),
        ("a/b", "is no name for a plugin"),
        ("../up", "is no name for a plugin"),
        ("", "is no name for a plugin"),
        ("größe", "is no name for a plugin"),
        (LONGEST + "1", "is too long: use 20 characters at most"),
        ("json", "'json' is a module of Python; choose another name"),
        ("echo", "there is a plugin 'echo' already"),
        ("files", "there is a plugin 'files' already"),
        ("batch", "'batch' is a word sttgate uses itself"),
    ],
)
def test_bad_name(name: str, sentence: str, home: Path) -> None:
    """A name that cannot be used is refused with a sentence, and nothing is written."""
    assert_refused(make("--", name), 2, sentence)
    assert not list(home.iterdir())


def test_unknown_kind(home: Path) -> None:
    """A kind that does not exist is refused, with those that do."""
    kinds = "'stream', 'batch', 'transcripts', 'recordings'"
    assert_refused(make("acme", "--kind", "video"), 2, f"'video' is not one of {kinds}")


def test_nothing_is_overwritten(home: Path) -> None:
    """A folder with something in it, and a file, stay as they are; an empty folder is taken."""
    (home / "sttgate-acme").mkdir()
    (home / "sttgate-acme" / "mine.txt").write_text("mine")
    (home / "file").write_text("mine")
    (home / "empty").mkdir()
    for arguments in ((), ("--dir", "file"), ("--dir", "file/below")):
        assert_refused(make("acme", *arguments), 1, "choose another folder with --dir")
    assert [path.name for path in (home / "sttgate-acme").iterdir()] == ["mine.txt"]
    assert (home / "file").read_text() == "mine"
    assert make("acme", "--dir", "empty").exit_code == 0


def test_files_of_templates() -> None:
    """Everything below the templates is one, so that it is shipped and rendered."""
    files = [path for path in (CORE / "templates").rglob("*") if path.is_file()]
    assert files
    assert all(path.suffix == ".template" for path in files)
    assert {path.name for path in (CORE / "templates" / "new_plugin").iterdir()} == {
        "common",
        *KINDS,
    }
