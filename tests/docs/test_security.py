"""The table of threats is complete, and what it names is there and runs."""

from __future__ import annotations

import ast

import pytest

from tests.docs.pages import ROOT
from tests.docs.threats import Threat, is_named, threats

THREATS = threats()
PROMISED = 30
LATER = {"T18", "T24", "T25", "T27"}
"""Webhooks, encryption at rest, the audit log."""


def test_every_threat_has_a_row() -> None:
    """The rows are T1 to T30, once each and in order."""
    assert [threat.number for threat in THREATS] == [f"T{n}" for n in range(1, PROMISED + 1)]


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.number)
def test_row(threat: Threat) -> None:
    """A row names modules and tests, all of which exist; only some may say `not yet`."""
    assert threat.tests or threat.number in LATER
    assert threat.not_yet is (threat.number in LATER)
    for module in threat.modules:
        assert (ROOT / module).is_file(), module
    for name in threat.tests:
        assert exists(name), name


def exists(name: str) -> bool:
    """Whether ``path``, ``path::test`` or ``path::Class::test`` is in the sources."""
    path, *names = name.split("::")
    if not (ROOT / path).is_file():
        return False
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for wanted in names:
        kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        found = [node for node in body if isinstance(node, kinds) and node.name == wanted]
        if not found:
            return False
        body = found[0].body
    return True


def test_what_does_not_exist() -> None:
    """The check above sees a wrong name."""
    here = "tests/docs/test_security.py"
    assert exists(f"{here}::test_what_does_not_exist")
    assert not exists(f"{here}::test_row::test_row")
    assert not exists(f"{here}::Threats")
    assert not exists("tests/docs/test_threats.py")


def test_marker(request: pytest.FixtureRequest) -> None:
    """Of the tests collected here those the table names have the marker, and no others."""
    named = [name for threat in THREATS for name in threat.tests]
    for item in request.session.items:
        marked = item.get_closest_marker("security") is not None
        assert marked == is_named(item.nodeid, named), item.nodeid
