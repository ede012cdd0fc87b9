"""``sttgate sessions``: stored conversations on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import SCRIPT, assert_explained, configure, run, stored_sessions, write_wav


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two files have been transcribed, ``first.wav`` and ``second.wav``."""
    folder = tmp_path_factory.mktemp("house")
    configure(folder)
    for name in ("first.wav", "second.wav"):
        write_wav(folder / name)
    assert run(folder, "transcribe", "first.wav", "second.wav").code == 0
    return folder


def test_list(house: Path) -> None:
    """The newest comes first, a line each: id, time, length, state, first words."""
    ran = run(house, "sessions", "list")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    sessions = stored_sessions(house)
    assert [session["title"] for session in sessions] == ["second.wav", "first.wav"]
    for session, line in zip(sessions, lines, strict=True):
        assert line.startswith(f"{session['id']}  ")
        assert "6.0 s  completed" in line
        assert line.endswith(" ".join(SCRIPT))


def test_number(house: Path) -> None:
    """``-n`` bounds the list."""
    assert run(house, "sessions", "list", "-n", "1").out.count("\n") == 1


def test_show(house: Path) -> None:
    """A conversation is its utterances with their times, the only thing on stdout."""
    ran = run(house, "sessions", "show", "latest")
    assert ran.code == 0
    assert ran.out == f"[00:00.0] {SCRIPT[0]}\n[00:02.6] {SCRIPT[1]}\n"
    assert "completed" in ran.err


def test_show_json(house: Path) -> None:
    """``--json`` prints the conversation as it is exported."""
    shown = json.loads(run(house, "sessions", "show", "latest", "--json").out)
    assert (shown["title"], shown["text"]) == ("second.wav", " ".join(SCRIPT))
    assert [utterance["text"] for utterance in shown["utterances"]] == list(SCRIPT)


def test_show_by_prefix(house: Path) -> None:
    """The whole id or as much of it as tells it from the others will do."""
    first = str(stored_sessions(house)[1]["id"])
    for name in (first, first[:13]):
        shown = json.loads(run(house, "sessions", "show", name, "--json").out)
        assert (shown["id"], shown["title"]) == (first, "first.wav")


@pytest.mark.parametrize(
    ("name", "words"),
    [("zzz", "No conversation starts with 'zzz'"), ("", "2 conversations start with ''")],
)
def test_show_nothing(house: Path, name: str, words: str) -> None:
    """A name that fits none, or more than one, is told with the command that lists them."""
    assert_explained(run(house, "sessions", "show", name), 1, words, "sttgate sessions list")


def test_empty(tmp_path: Path) -> None:
    """Before the first conversation, stdout is empty and stderr says so."""
    configure(tmp_path)
    ran = run(tmp_path, "sessions", "list")
    assert (ran.code, ran.out, ran.err) == (0, "", "No conversations yet.\n")
    assert stored_sessions(tmp_path) == []
    assert_explained(run(tmp_path, "sessions", "show", "latest"), 1, "no conversations yet")


def test_damaged_database(tmp_path: Path) -> None:
    """A file that is no database is named and left as it is."""
    configure(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sttgate.db").write_bytes(b"my notes\n" * 100)
    for command in (["list"], ["show", "latest"]):
        assert_explained(run(tmp_path, "sessions", *command), 1, "data/sttgate.db", "move")
    assert (tmp_path / "data" / "sttgate.db").read_bytes() == b"my notes\n" * 100
