"""The ``.env`` file and the variables that set keys."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sttgate.config import load_config
from sttgate.config.document import Document, Place
from sttgate.config.environment import (
    override_from_environment,
    override_from_options,
    read_dotenv,
)
from sttgate.errors import ConfigError


def dotenv(tmp_path: Path, text: str | bytes) -> tuple[dict[str, str], list[str]]:
    path = tmp_path / ".env"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    document = Document("c.yaml")
    return read_dotenv(path, ".env", document), [str(problem) for problem in document.problems]


def test_lines(tmp_path: Path) -> None:
    """Names, quotes, comments and ``export`` are read the way people write them."""
    text = r"""
        # a comment
        PLAIN=value
        export EXPORTED = spaced out
        EMPTY=
        COMMENTED=value # why
        HASH=a#b
        SINGLE='a # b \n $X' # why
        DOUBLE="a \"b\" \n${X}"
        EQUALS=a=b
    """
    assert dotenv(tmp_path, text) == (
        {
            "PLAIN": "value",
            "EXPORTED": "spaced out",
            "EMPTY": "",
            "COMMENTED": "value",
            "HASH": "a#b",
            "SINGLE": r"a # b \n $X",
            "DOUBLE": 'a "b" \n${X}',
            "EQUALS": "a=b",
        },
        [],
    )


def test_bad_line(tmp_path: Path) -> None:
    """A line that is no assignment is told by its number, and its text is not shown."""
    assert dotenv(tmp_path, "A=1\nhunter2\nB=2")[1] == [".env:2:1: expected NAME=value"]


def test_not_there(tmp_path: Path) -> None:
    """No file means no variables."""
    document = Document("c.yaml")
    assert read_dotenv(tmp_path / ".env", ".env", document) == {}
    assert document.problems == []


def test_not_text(tmp_path: Path) -> None:
    """A file that cannot be read as text is an error."""
    assert dotenv(tmp_path, b"A=\xff")[1] == [".env: is not text in UTF-8"]


def test_a_folder(tmp_path: Path) -> None:
    """Something that is no file is an error."""
    (tmp_path / ".env").mkdir()
    document = Document("c.yaml")
    read_dotenv(tmp_path / ".env", ".env", document)
    assert "cannot be read (Is a directory)" in str(document.problems[0])


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_open_to_all(tmp_path: Path) -> None:
    """A file of secrets that everyone may read is worth a warning."""
    path = tmp_path / ".env"
    path.write_text("A=1")
    path.chmod(0o644)
    document = Document("c.yaml")
    assert read_dotenv(path, ".env", document) == {"A": "1"}
    assert document.problems[0].warning


def overridden(data: dict[str, object], **environment: str) -> Document:
    document = Document("c.yaml", data)
    override_from_environment(document, environment)
    return document


def test_variables_set_keys() -> None:
    """``STTGATE__SECTION__KEY`` sets a key at any depth; its value is YAML."""
    document = overridden(
        {"server": {"host": "a", "port": 1}, "providers": None},
        STTGATE__SERVER__PORT="9000",
        STTGATE__PROVIDERS__ACME__WORDS="[a, $b]",
        STTGATE__CHAIN="",
        STTGATE_CONFIG="x",
        OTHER="y",
    )
    assert document.problems == []
    assert document.data == {
        "server": {"host": "a", "port": 9000},
        "providers": {"acme": {"words": ["a", "$b"]}},
    }
    assert document.place(("server", "port")) == Place("STTGATE__SERVER__PORT")
    assert document.place(("providers", "acme", "words", 1)).line == 0


def test_variables_find_the_spelling_of_keys() -> None:
    """A variable's name has capitals and no hyphens; the key that is there decides."""
    document = overridden({"providers": {"Acme-eu": {"x": 1}}}, STTGATE__PROVIDERS__ACME_EU__X="2")
    assert document.data == {"providers": {"Acme-eu": {"x": 2}}}


def test_options_set_keys() -> None:
    """``--set`` does the same, and null is a value there."""
    document = Document("c.yaml", {"a": {"b": 1}})
    override_from_options(document, {"a.b": "", "a.c": "{d: 1}"})
    assert document.data == {"a": {"b": None, "c": {"d": 1}}}


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("STTGATE__A__", "1", "STTGATE__A__ a.: this names no key"),
        ("STTGATE__A", "[hunter2", "STTGATE__A a: not closed: expected ',' or the closing bracket"),
        ("STTGATE__A", "@hunter2", "STTGATE__A a: this character cannot stand here"),
        (
            "STTGATE__B__C",
            "1",
            "STTGATE__B__C b.c: cannot be set, what is around it is not a block",
        ),
    ],
)
def test_mistakes(variable: str, value: str, expected: str) -> None:
    """A mistake in a variable names the variable and the key, not the value."""
    (problem,) = overridden({"b": 5}, **{variable: value}).problems
    assert expected in str(problem)
    assert "hunter2" not in str(problem)


def test_unknown_blocks_are_told_where_they_come_from(tmp_path: Path) -> None:
    """A mistake in a variable or option is told by its name, not by a place in the file."""
    path = tmp_path / "config.yaml"
    path.write_text("chain: [echo]\nproviders: {echo: {}}\n")
    with pytest.raises(ConfigError) as raised:
        load_config(
            path,
            environ={"STTGATE__SERVR__PORT": "1", "STTGATE__TRACES__ENDPOINT": "localhost:4318"},
            overrides={"limts.idle_s": "1"},
            cwd=tmp_path,
        )
    assert sorted(str(problem) for problem in raised.value.problems) == [
        "--set limts: unknown key (did you mean 'limits'?)",
        "STTGATE__SERVR__PORT servr: unknown key (did you mean 'server'?)",
        "STTGATE__TRACES__ENDPOINT traces.endpoint: must begin with http:// or https://",
    ]
