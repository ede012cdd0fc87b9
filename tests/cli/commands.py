"""The real command in processes of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from sttgate.testing import tone

COMMAND = (sys.executable, "-m", "sttgate")
SCRIPT = ("the first sentence is short", "and the second one is here")
LENGTH = 6.0  # seconds of audio in which the echo provider says all of SCRIPT
TIMEOUT = 60.0


def environment(**more: str) -> dict[str, str]:
    """Return the environment of this process without anything that configures sttgate."""
    ours = ("STTGATE", "DEEPGRAM_", "NO_COLOR", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | more


def configure(folder: Path, **sections: object) -> Path:
    """Write ``config.yaml`` for an echo provider on any free port; return its path."""
    content: dict[str, object] = {
        "server": {"port": 0},
        "providers": {"echo": {"script": list(SCRIPT)}},
        "chain": ["echo"],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content | sections), encoding="utf-8")
    return path


def write_wav(path: Path, seconds: float = LENGTH, rate: int = 16_000) -> Path:
    """Write a WAV file that holds a tone; return its path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(tone(seconds, rate))
    return path


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(
    folder: Path,
    *args: str | Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = COMMAND,
) -> Ran:
    """Run ``sttgate ARGS`` in ``folder`` to its end."""
    done = subprocess.run(
        [*command, *map(str, args)],
        cwd=folder,
        env=environment(**(env or {})),
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def assert_explained(ran: Ran, code: int, *words: str) -> None:
    """Assert that a command failed with a sentence that has all of ``words``, and no traceback."""
    assert ran.code == code, ran
    assert "Traceback" not in ran.err
    for word in words:
        assert word in ran.err
    assert ran.out == ""


class Running:
    """A command that has not ended yet."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return self._log.read_text("utf-8")

    def wait_for(self, text: str) -> str:
        """Wait until stderr has ``text``; return the rest of that line."""
        deadline = time.monotonic() + TIMEOUT
        while text not in self.err or "\n" not in self.err.partition(text)[2]:
            assert self.process.poll() is None, self.err
            assert time.monotonic() < deadline, self.err
            time.sleep(0.02)
        return self.err.partition(text)[2].partition("\n")[0]

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signum)
        return self.process.wait(TIMEOUT)


@contextmanager
def start(folder: Path, *args: str | Path, **env: str) -> Iterator[Running]:
    """Start ``sttgate ARGS`` in ``folder``; killed at the end if it still runs then."""
    log = folder / "stderr.log"
    with log.open("wb") as err:
        process = subprocess.Popen(
            [*COMMAND, *map(str, args)],
            cwd=folder,
            env=environment(**env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
        )
    try:
        yield Running(process, log)
    finally:
        process.kill()
        process.communicate()


@contextmanager
def serve(folder: Path, *args: str | Path, **env: str) -> Iterator[tuple[Running, str]]:
    """Start ``sttgate serve`` and wait until it is ready; yield it and its URL."""
    with start(folder, "serve", *args, **env) as running:
        yield running, running.wait_for("sttgate is ready at ").strip()


def stored_sessions(folder: Path) -> list[dict[str, object]]:
    """Return what ``sttgate sessions list --json`` says, newest first."""
    ran = run(folder, "sessions", "list", "--json")
    assert ran.code == 0, ran.err
    sessions: list[dict[str, object]] = json.loads(ran.out)
    return sessions


def conversation(folder: Path, **env: str) -> dict[str, object]:
    """Return what ``sttgate sessions show latest --json`` says."""
    ran = run(folder, "sessions", "show", "latest", "--json", env=env)
    assert ran.code == 0, ran.err
    shown: dict[str, object] = json.loads(ran.out)
    return shown


def wait_for_audio(folder: Path, seconds: float) -> None:
    """Wait until this much audio at 16 kHz lies in the spool."""
    deadline = time.monotonic() + TIMEOUT
    while not any(
        path.stat().st_size > seconds * 2 * 16_000
        for path in (folder / "data" / "spool").glob("*/audio.wav")
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)
