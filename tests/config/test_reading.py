"""YAML text -> data, places and problems."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate.config.document import Document, Place
from sttgate.config.reading import LARGEST_TEXT, parse, parse_value
from sttgate.config.scalars import write


def read(text: str, environment: dict[str, str] | None = None, base: Path = Path()) -> Document:
    document = Document("c.yaml")
    parse(text, document, environment or {}, base)
    return document


def problems(text: str, **environment: str) -> list[str]:
    return [str(problem) for problem in read(text, environment).problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("Yes", "Yes"), ("on", "on"), ("true", True), ("FALSE", False),
        ("null", None), ("~", None), ("", None), ("Null", None),
        ("12:30:00", "12:30:00"), ("2024-01-01", "2024-01-01"), ("1_000", "1_000"),
        ("017", 17), ("0o17", 15), ("0x1F", 31), ("-5", -5), ("+5", 5), ("5", 5), ("0b1", "0b1"),
        ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("1.", 1.0), (".inf", math.inf),
        ("-.Inf", -math.inf), ("=", "="), ("'5'", "5"), ('"true"', "true"), ("a", "a"),
        ("!!str 5", "5"), ("!!int '5'", 5), ("a # b", "a"), ("a#b", "a#b"),
    ],
)  # fmt: skip
def test_scalars(text: str, value: Any) -> None:
    """Plain words mean what YAML 1.2's core schema says, and nothing else."""
    document = read(f"key: {text}")
    assert document.problems == []
    assert document.data == {"key": value}
    assert type(document.data["key"]) is type(value)


def test_places() -> None:
    """Every key and value remembers its line and column."""
    document = read("a:\n  b: [1, two]\n  c: {d: x}\n")
    assert document.keys["a", "b"] == Place("c.yaml", 2, 3)
    assert document.values["a", "b", 1] == Place("c.yaml", 2, 10)
    assert document.keys["a", "c", "d"] == Place("c.yaml", 3, 7)
    assert document.values["a", "c", "d"] == Place("c.yaml", 3, 10)
    assert document.place(("a", "missing")) == Place("c.yaml", 1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", "c.yaml:3:1 a: duplicate key (first at line 1)"),
        ("a:\n\tb: 1", "c.yaml:2:1: a tab cannot stand here: indent with spaces"),
        ("a: 'x\nb: 1", "c.yaml:1:4: not closed: expected the closing quote"),
        ("a: [1, 2\nb: 3", "c.yaml:1:4: not closed: expected ',' or the closing bracket"),
        ("a: [x, ${B}]", "c.yaml:1:9: a reference needs quotes inside brackets: ['${VAR}']"),
        ("a: {b: 1", "c.yaml:1:4: not closed: expected ',' or the closing bracket"),
        ("a: b: c", "c.yaml:1:5: unexpected ':': check the indentation, or put the text in quotes"),
        ("a: 1\n  b: 2", "c.yaml:2:4: unexpected ':'"),
        (" a: 1\nb: 2", "c.yaml:2:1: the indentation does not fit the lines above"),
        ("key: value\nother", "c.yaml:2:1: expected 'key: value'"),
        ("a: @x", "c.yaml:1:4: this character cannot stand here: put text that starts with it in"),
        ("a: 1\n---\nb: 2", "c.yaml:2:1: a second document starts here: remove the '---'"),
        ("a: *secret", "c.yaml:1:4: '*' is for an alias of an anchor, and there is none"),
        ("a: &x 1\nb: &x 2", "c.yaml:2:4: '&' is for an anchor, and this one exists"),
        ("a: !secret 5", "c.yaml:1:4 a: '!' starts a tag, which means nothing here"),
        ("a: !x!secret 5", "c.yaml:1:4: '!' is for a tag, which means nothing here"),
        ("a: !!set {b}", "c.yaml:1:4 a: '!' starts a tag"),
        ("a: !!int x", "c.yaml:1:4 a: cannot be read as int: put text in quotes"),
        ("a: " + "9" * 5000, "c.yaml:1:4 a: cannot be read as int"),
        ('a: "\\q"', "c.yaml:1:6: '\\' starts an escape in double quotes"),
        ('a: "\\UFFFFFFFF"', "c.yaml:1:1: not valid YAML: an escape in double quotes"),
        ('a: "\\ud800"', "c.yaml:1:4 a: holds a character that is not text"),
        ('a: "\\0"', "c.yaml:1:4 a: holds a character that is not text"),
        ("a: 1\nb: \x07", "c.yaml:2:4: this character is not allowed"),
        ("- a\n- b", "c.yaml:1:1: expected keys and values, such as 'server:'"),
        ("just text", "c.yaml:1:1: expected keys and values"),
        ("a: {[1]: 2}", "c.yaml:1:5 a: a key must be a word"),
        ("a: {'': 2}", "c.yaml:1:5 a: a key must be a word"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "c.yaml:3:3 c: '<<' does not merge blocks here"),
        ("a: &x [*x]", "nested deeper than 32 levels"),
        ("a: " + "[" * 5000, "c.yaml:1:1: nested deeper than 32 levels"),
        ("a: |9x\n b", "c.yaml:1:6: not valid YAML"),
        ("x" * (LARGEST_TEXT + 1), "c.yaml:1:1: larger than 256 KiB"),
    ],
)
def test_mistakes(text: str, expected: str) -> None:
    """A mistake in the text is told with its place, in plain words."""
    (problem,) = problems(text)
    assert expected in problem
    assert "secret" not in problem


def test_aliases() -> None:
    """An alias stands for the value of its anchor."""
    assert read("a: &x {b: [1]}\nc: *x").data == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_alias_bomb() -> None:
    """A few lines of aliases of aliases do not fill the memory."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "more than 20000 values" in "".join(problems("\n".join(lines)))


class TestReferences:
    """``${…}`` in values."""

    def test_forms(self, tmp_path: Path) -> None:
        """Variables, defaults, files and the escape are filled in, also inside a longer text."""
        (tmp_path / "secret").write_text("from file\n")
        (tmp_path / "secret").chmod(0o600)
        text = """
            a: ${ONE}
            b: "x-${ONE}-${TWO}"
            c: ${NONE:-a default}
            d: '${EMPTY:-when empty}'
            e: ${file:secret}
            f: ${file:%s}
            g: $$ and $${ONE}
            h: $ONE costs 5$
            i: [{j: "${ONE}"}]
            k: ${EMPTY}
        """ % (tmp_path / "secret")
        document = read(text, {"ONE": "1", "TWO": "$TWO", "EMPTY": ""}, tmp_path)
        assert document.problems == []
        assert document.data == {
            "a": "1",
            "b": "x-1-$TWO",
            "c": "a default",
            "d": "when empty",
            "e": "from file",
            "f": "from file",
            "g": "$ and ${ONE}",
            "h": "$ONE costs 5$",
            "i": [{"j": "1"}],
            "k": "",
        }

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (
                "a: ${NOT_SET}",
                "a: environment variable NOT_SET is not set (use ${NOT_SET:-default} for",
            ),
            ("a: hunter2${", "a: '${' must start one of ${VAR}, ${VAR:-default} or ${file:/path}"),
            ("a: ${hunter2!}", "a: '${' must start one of"),
            ("a: ${}", "a: '${' must start one of"),
            ("a: ${file:none}", "none cannot be read (No such file or directory)"),
            ("a: ${file:.}", "cannot be read (Is a directory)"),
            ("a: ${file:big}", "big is larger than 64 KiB"),
            ("a: ${file:binary}", "binary is not text in UTF-8"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, text: str, expected: str) -> None:
        """A reference that leads nowhere is told, without the text around it."""
        (tmp_path / "big").write_bytes(bytes(70_000))
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        (problem,) = [p for p in read(text, {}, tmp_path).problems if not p.warning]
        assert expected in str(problem)
        assert "hunter2" not in str(problem)

    def test_file_open_to_all(self, tmp_path: Path) -> None:
        """A secret file of ours that everyone may read is worth a warning."""
        (tmp_path / "secret").write_text("x")
        (tmp_path / "secret").chmod(0o644)
        (problem,) = read("a: ${file:secret}", {}, tmp_path).problems
        assert problem.warning
        assert "chmod 600" in problem.message


def test_value_from_elsewhere() -> None:
    """A value from a variable is YAML in which ``$`` is an ordinary character."""
    document = Document("c.yaml")
    place = Place("VAR")
    assert parse_value("[1, '${x}']", ("a", "b"), place, document) == (True, [1, "${x}"])
    assert parse_value("", ("a",), place, document) == (True, None)
    assert parse_value("[1", ("a", "b"), place, document)[0] is False
    assert str(document.problems[0]) == "VAR a.b: not closed: expected ',' or the closing bracket"


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
    | st.sampled_from(["no", "0o17", "1e5", "12:30", "~", "$", "${X}", "- a", "a: b", "#", "'", "\t"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts.filter(bool), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(texts.filter(lambda name: name not in ("", "<<")), plain, max_size=4))
@settings(deadline=None, max_examples=150)
def test_what_is_written_reads_the_same(data: dict[str, Any]) -> None:
    """Any plain data comes back unchanged, whatever its texts look like."""
    document = read(write(data))
    assert document.problems == []
    assert document.data == data


@given(st.text(alphabet="ab:- \n\t[]{}'\"#&*!|>%@`\\$0.~,?<=", max_size=80) | st.text())
@settings(deadline=None, max_examples=300)
def test_any_text(text: str) -> None:
    """Any text gives data or problems, never an exception."""
    document = read(text)
    assert isinstance(document.data, dict)
