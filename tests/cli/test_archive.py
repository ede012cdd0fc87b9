"""``sttgate sessions search``, ``export``, ``delete``, ``path`` and ``backup``."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pysubs2
import pytest
import webvtt

from tests.cli.commands import (
    COMMAND,
    SCRIPT,
    TIMEOUT,
    Ran,
    assert_explained,
    configure,
    environment,
    run,
    start,
    stored_sessions,
    wait_for_audio,
    write_wav,
)

pytestmark = pytest.mark.timeout(240)  # several processes, on a machine that may be busy


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two files have been transcribed, ``first.wav`` and ``second.wav``."""
    folder = tmp_path_factory.mktemp("original")
    configure(folder)
    for name in ("first.wav", "second.wav"):
        write_wav(folder / name)
    assert run(folder, "transcribe", "first.wav", "second.wav").code == 0
    return folder


@pytest.fixture
def house(original: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return shutil.copytree(original, tmp_path / "house")


def ids(folder: Path) -> list[str]:
    """Return the ids of the stored sessions, newest first."""
    return [str(session["id"]) for session in stored_sessions(folder)]


def sessions(folder: Path, *args: str | Path, stdin: bytes = b"") -> Ran:
    """Run ``sttgate sessions ARGS``; it has to work."""
    ran = run(folder, "sessions", *args, stdin=stdin)
    assert ran.code == 0, ran
    return ran


class TestSearch:
    def test_hits(self, original: Path) -> None:
        """Below each conversation stand the places where it was said, without any styling."""
        lines = sessions(original, "search", "second", "one").out.splitlines()
        assert [line[:4] for line in lines] == [
            ids(original)[0][:4],
            "    ",
            ids(original)[1][:4],
            "    ",
        ]
        assert lines[1].startswith("    [00:02.")
        assert lines[1].endswith(SCRIPT[1])

    def test_bold_on_a_terminal(self, original: Path) -> None:
        """On a terminal the words that were searched for are bold, unless NO_COLOR is set."""
        plain = {"PYTHONWARNINGS": "ignore"}
        assert "the \x1b[1msecond\x1b[0m one" in on_terminal(
            original, "sessions", "search", "second", **plain
        )
        assert "\x1b" not in on_terminal(
            original, "sessions", "search", "second", NO_COLOR="1", **plain
        )

    def test_json(self, original: Path) -> None:
        """JSON has the hits in pieces, so that nobody has to parse marks."""
        for ran in (
            sessions(original, "list", "-q", '"second one"', "--json", "-n", "1"),
            sessions(original, "search", '"second one"', "--json", "-n", "1"),
        ):
            [session] = json.loads(ran.out)
            assert (session["title"], session["utterances"]) == ("second.wav", 2)
            [hit] = session["hits"]
            assert hit["utterance"] == 2
            assert [part["text"] for part in hit["snippet"] if part["hit"]] == ["second one"]

    def test_lines(self, original: Path) -> None:
        """``--nl`` prints an object on each line."""
        lines = sessions(original, "list", "--nl").out.splitlines()
        assert [json.loads(line)["title"] for line in lines] == ["second.wav", "first.wav"]

    def test_nothing(self, original: Path) -> None:
        """What nobody said is found nowhere, and that is no failure."""
        ran = sessions(original, "search", "xyzzy")
        assert (ran.out, ran.err) == ("", "No conversation matches.\n")
        assert sessions(original, "search", "xyzzy", "--json").out == "[]\n"

    def test_since(self, original: Path) -> None:
        """``--since`` takes an age or a date."""
        for when in ("1h", "2.5d", "2020-01-01", "2020-01-01T10:00:00+02:00"):
            assert sessions(original, "list", "--since", when).out.count("\n") == 2
        tomorrow = time.strftime("%Y-%m-%d", time.localtime(time.time() + 2 * 86_400))
        assert sessions(original, "list", "--since", tomorrow).out == ""
        ran = run(original, "sessions", "list", "--since", "yesterday")
        assert_explained(ran, 2, "'yesterday' is no time; write 2d")


class TestExport:
    def test_formats(self, original: Path) -> None:
        """Each format goes to standard output by default, and nothing else does."""
        text = sessions(original, "export", "latest").out
        assert text.replace("\n", " ").split() == " ".join(SCRIPT).split()
        srt = sessions(original, "export", "latest", "-f", "srt").out
        assert " ".join(pysubs2.SSAFile.from_string(srt)[0].plaintext.split()) in " ".join(SCRIPT)
        vtt = sessions(original, "export", "latest", "-f", "vtt").out
        assert webvtt.from_string(vtt).captions
        told = json.loads(sessions(original, "export", "latest", "-f", "json", "-o", "-").out)
        assert (told["version"], told["title"]) == (1, "second.wav")

    def test_audio(self, original: Path, tmp_path: Path) -> None:
        """The recording is written as it is stored, to a file, a folder or standard output."""
        stored = (original / "recordings" / f"{ids(original)[0]}.wav").read_bytes()
        sessions(original, "export", "latest", "-f", "wav", "-o", tmp_path / "talk.wav")
        sessions(original, "export", "latest", "-f", "wav", "-o", f"{tmp_path}/new/")
        assert (tmp_path / "talk.wav").read_bytes() == stored
        assert (tmp_path / "new" / f"{ids(original)[0]}.wav").read_bytes() == stored
        piped = subprocess.run(
            [*COMMAND, "sessions", "export", "latest", "-f", "wav"],
            cwd=original,
            env=environment(),
            capture_output=True,
            timeout=TIMEOUT,
            check=True,
        )
        assert piped.stdout == stored

    def test_all(self, original: Path, tmp_path: Path) -> None:
        """All conversations become files in a folder, named after them."""
        ran = sessions(original, "export", "--all", "-f", "vtt", "-o", tmp_path / "out")
        assert "2 conversations exported" in ran.err
        assert {path.name for path in (tmp_path / "out").iterdir()} == {
            f"{session}.vtt" for session in ids(original)
        }
        none = sessions(
            original, "export", "--all", "--since", "0s", "-f", "wav", "-o", tmp_path / "none"
        )
        assert "0 conversations exported" in none.err

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            ((), "Name one conversation"),
            (("latest", "--all", "-o", "x"), "Name one conversation"),
            (("--all",), "need a folder"),
            (("--all", "-o", "-"), "need a folder"),
            (("latest", "--since", "2d"), "--since goes with --all"),
            (("--all", "-o", "config.yaml"), "cannot be made"),
            (("latest", "-f", "docx"), "'docx' is not one of"),
        ],
    )
    def test_usage(self, original: Path, args: tuple[str, ...], words: str) -> None:
        """What cannot be meant is told, with the exit code for it."""
        assert_explained(run(original, "sessions", "export", *args), 2, words)

    def test_unwritable(self, original: Path) -> None:
        """A file that cannot be written is named."""
        ran = run(original, "sessions", "export", "latest", "-o", "missing/talk.txt")
        assert_explained(ran, 1, "missing/talk.txt cannot be written", "No such file")

    def test_no_recording(self, house: Path) -> None:
        """A conversation without audio has its text; that there is no audio is told."""
        sessions(house, "delete", "latest", "--only", "recording", "-y")
        assert_explained(run(house, "sessions", "export", "latest", "-f", "wav"), 1, "no recording")
        assert_explained(run(house, "sessions", "path", "latest"), 1, "no recording")
        ran = sessions(house, "export", "--all", "-f", "wav", "-o", "out")
        assert "1 conversation exported" in ran.err
        assert "1 conversation without a recording" in ran.err
        assert len(list((house / "out").iterdir())) == 1


def test_path(original: Path) -> None:
    """The path of a recording is all there is on standard output."""
    printed = Path(sessions(original, "path", "latest").out.rstrip("\n"))
    assert printed == original / "recordings" / f"{ids(original)[0]}.wav"
    assert printed.is_file()


class TestDelete:
    def test_asks(self, house: Path) -> None:
        """It asks first, and shows what is meant; without an answer nothing happens."""
        for answer in (b"n\n", b""):
            ran = run(house, "sessions", "delete", "latest", stdin=answer)
            assert (ran.code, ran.out) == (1, "")
            assert "Delete for good 1 conversation? [y/N]" in ran.err
            assert SCRIPT[0] in ran.err
        assert len(ids(house)) == 2
        assert "1 conversation deleted" in sessions(house, "delete", "latest", stdin=b"y\n").err
        assert len(ids(house)) == 1
        assert len(list((house / "recordings").iterdir())) == 1

    def test_several(self, house: Path) -> None:
        """Several can be named; one that is unknown keeps all of them."""
        one, other = ids(house)
        assert run(house, "sessions", "delete", one, "zzz", "-y").code == 1
        assert ids(house) == [one, other]
        sessions(house, "delete", one, other[:13], one, "-y")
        assert ids(house) == []
        assert list((house / "recordings").iterdir()) == []

    def test_only_the_transcript(self, house: Path) -> None:
        """What was said can go while the audio stays."""
        sessions(house, "delete", "latest", "--only", "transcript", "-y")
        assert sessions(house, "export", "latest").out == ""
        assert sessions(house, "search", "second").out.count("[00:") == 1
        assert Path(sessions(house, "path", "latest").out.strip()).is_file()

    def test_running(self, tmp_path: Path) -> None:
        """A session that runs, or was left by a crash, is not deleted."""
        configure(tmp_path)
        with start(tmp_path, "transcribe", "-") as running:
            assert running.process.stdin is not None
            wav = write_wav(tmp_path / "talk.wav", 60.0).read_bytes()
            running.process.stdin.write(wav[: 5 * 2 * 16_000])  # and the rest never comes
            running.process.stdin.flush()
            wait_for_audio(tmp_path, 3.0)
            deadline = time.monotonic() + TIMEOUT
            while not (found := ids(tmp_path)):
                assert time.monotonic() < deadline
            for _ in range(2):
                ran = run(tmp_path, "sessions", "delete", "latest", "-y")
                assert_explained(ran, 1, found[0], "still runs", "nothing was deleted")
                running.process.kill()
                running.process.wait()
        assert ids(tmp_path) == found


class TestBackup:
    def test_is_a_house_of_its_own(self, house: Path, tmp_path: Path) -> None:
        """Whoever starts in the backup finds everything, search and audio too."""
        ran = sessions(house, "backup", "../copies/monday")
        assert "2 conversations and 2 recordings copied" in ran.err
        copy = tmp_path / "copies" / "monday"
        assert [path.name for path in copy.parent.iterdir()] == ["monday"]
        for session in ids(house):
            sessions(house, "delete", session, "-y")
        assert len(ids(copy)) == 2
        assert sessions(copy, "search", "second").out.count("[00:") == 2
        audio = Path(sessions(copy, "path", "latest").out.strip())
        assert audio.is_relative_to(copy)
        assert audio.stat().st_size > 100_000
        assert (copy / "data" / "sttgate.db").stat().st_mode & 0o077 == 0

    def test_needs_a_new_folder(self, house: Path) -> None:
        """What is there is never written over."""
        before = (house / "data" / "sttgate.db").read_bytes()
        ran = run(house, "sessions", "backup", ".")
        assert_explained(ran, 1, "is not empty")
        assert (house / "data" / "sttgate.db").read_bytes() == before
        (house / "file").write_text("mine")
        assert_explained(run(house, "sessions", "backup", "file/x"), 1, "cannot be made")
        assert (house / "file").read_text() == "mine"


def on_terminal(folder: Path, *args: str, **env: str) -> str:
    """Return what ``sttgate ARGS`` writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *args], cwd=folder, env=environment(**env), stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = b""
    try:
        while block := read_block(ours):
            written += block
    finally:
        os.close(ours)
        process.wait(TIMEOUT)
    return written.decode()


def read_block(terminal: int) -> bytes:
    """Return what was written; nothing once nobody writes any more."""
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so when the other end is closed
        return b""


def test_text_does_not_act_on_the_terminal(tmp_path: Path) -> None:
    """Escape sequences that an engine heard are not passed on, neither are those in a title."""
    script: Any = ["red \x1b[31m alert \x1b]0;title\x07 now"]
    configure(tmp_path, providers={"echo": {"script": script}})
    write_wav(tmp_path / "talk.wav")
    assert run(tmp_path, "transcribe", "talk.wav").code == 0
    for args in (("list",), ("search", "alert"), ("show", "latest"), ("export", "latest")):
        ran = sessions(tmp_path, *args)
        assert "alert" in ran.out
        assert "\x1b" not in ran.out + ran.err
        assert "\x07" not in ran.out
