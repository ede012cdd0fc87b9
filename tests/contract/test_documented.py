"""The samples of docs/testing.md, and the command that needs no sample."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import run as command
from tests.contract.test_kit import run
from tests.docs.pages import block


def test_guide_provider_keeps_the_contract(tmp_path: Path) -> None:
    """The provider of the guide passes the kit with the fixture of the page."""
    (tmp_path / "loudness.py").write_text(block("docs/plugins.md", "loudness.py"))
    said, found = run(tmp_path, block("docs/testing.md", "test_contract.py"))
    assert len(found) > 25, said
    assert {name: v for name, v in found.items() if v["outcome"] == "failed"} == {}


def test_command_reports_each_clause(tmp_path: Path) -> None:
    """``sttgate plugins test`` prints every test with its outcome, and ends with 0 if all is well."""
    ran = command(tmp_path, "plugins", "test", "files")
    assert ran.code == 0, ran
    assert "✓ Clause 2: while it is put, a recording is there as a whole" in ran.out
    assert ran.out.splitlines()[-1].startswith("recording store files: ")
    assert list(tmp_path.iterdir()) == []


def test_command_finds_a_fault(tmp_path: Path) -> None:
    """A fault that is configured fails its clause; the report says what that usually means."""
    config = "providers: {echo: {refuse: true}}\nchain: [echo]\n"
    (tmp_path / "config.yaml").write_text(config)
    ran = command(tmp_path, "plugins", "test", "echo", "--json")
    assert ran.code == 1, ran
    verdicts = {verdict["test"]: verdict for verdict in json.loads(ran.out)}
    failed = verdicts["test_no_word_is_lost_at_the_end"]
    assert failed["outcome"] == "failed"
    assert "refused the stream" in failed["reason"]
    assert failed["meaning"].startswith("A failure usually means")
    assert verdicts["test_check"]["outcome"] == "passed"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("deepgram", "'deepgram' has nothing to work with: no API key: set DEEPGRAM_API_KEY"),
        ("nobody", "There is no provider or store 'nobody'; there are deepgram, echo, files,"),
    ],
)
def test_command_says_what_is_missing(tmp_path: Path, name: str, words: str) -> None:
    """What cannot be tested is told in one sentence."""
    ran = command(tmp_path, "plugins", "test", name)
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.err
    assert "Traceback" not in ran.err


def test_command_without_pytest(tmp_path: Path) -> None:
    """Where pytest is missing, the command says how to get it."""
    program = (
        "import sys, importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if 'pytest' in name else find(name, *more)\n"
        "from sttgate.cli import main; main()"
    )
    import sys

    python = (sys.executable, "-c", program)
    ran = command(tmp_path, "plugins", "test", "echo", command=python)
    assert ran.code == 1
    assert "pip install 'sttgate[testing]'" in ran.err
