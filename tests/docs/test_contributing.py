"""The house is built as CONTRIBUTING.md says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import sttgate
from tests.docs.pages import ROOT, read, section, table

PACKAGE = ROOT / "sttgate"
PLUGINS = ROOT / "plugins"
ENTRANCES = {"sttgate", "__main__"}  # the public names, and `python -m`


def _imports(path: Path) -> Iterator[str]:
    """Yield the full names of what a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py").replace("__init__", "sttgate")


def _rows() -> dict[str, int]:
    rows = table(section(read("CONTRIBUTING.md"), "Imports"))
    return {room: int(row) for row, rooms in rows for room in re.findall(r"`(\w+)`", rooms)}


def test_every_room_is_in_the_table() -> None:
    """The table has each module and package of sttgate, and none that is gone."""
    rooms = {_room(path) for path in PACKAGE.rglob("*.py")} - ENTRANCES
    assert set(_rows()) == rooms


def test_imports_go_one_way() -> None:
    """A room imports only itself and rooms of the rows above, as the text below the table refines."""
    rows = _rows()
    for path in PACKAGE.rglob("*.py"):
        room = _room(path)
        if room in ENTRANCES:
            continue
        used = {name.split(".")[1] for name in _imports(path) if name.startswith("sttgate.")}
        for other in (used & set(rows)) - {room}:
            allowed = rows[other] < rows[room] or (room, other) == ("stores", "provider")
            forbidden = room == "session" and other in ("plugins", "config")
            assert allowed, f"{path.relative_to(ROOT)} imports {other}"
            assert not forbidden, f"{path.relative_to(ROOT)} imports {other}"


@pytest.mark.parametrize(
    ("library", "rooms"), [("pluggy", {"hookspecs", "plugins"}), ("yaml", {"config"})]
)
def test_library_stays_in_its_room(library: str, rooms: set[str]) -> None:
    """pluggy and yaml are known in one corner of the house."""
    users = {
        _room(path)
        for path in PACKAGE.rglob("*.py")
        if library in {name.split(".")[0] for name in _imports(path)}
    }
    assert users == rooms


def test_plugins_use_the_front_door() -> None:
    """Shipped plugins import from sttgate what anybody can, and nothing of each other."""
    public = {"", *sttgate.__all__}
    for path in PLUGINS.rglob("*.py"):
        own = path.relative_to(PLUGINS).parts[0].removesuffix(".py")
        for name in _imports(path):
            top, _, rest = name.partition(".")
            if top == "sttgate":
                assert rest in public, f"{path.name}: {name}"
            assert not top.startswith("sttgate_") or top == own, f"{path.name}: {name}"


def test_named_folders_are_there() -> None:
    """Every folder and file that CONTRIBUTING.md names exists."""
    for name in re.findall(r"`((?:tests|sttgate|docs)/[\w./]*)`", read("CONTRIBUTING.md")):
        assert (ROOT / name).exists(), name
