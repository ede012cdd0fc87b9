"""The checkout as data: its modules, what each of them imports, and what pyproject.toml says."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]
CORE, PLUGINS = CHECKOUT / "sttgate", CHECKOUT / "plugins"


def pyproject() -> dict[str, Any]:
    """Return the content of pyproject.toml."""
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))


@dataclass(frozen=True)
class Import:
    """One import: ``names`` is empty for ``import module``."""

    module: str
    names: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Module:
    """A source file under ``sttgate`` or ``plugins``."""

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.path.read_text("utf-8"), str(self.path))

    @property
    def imports(self) -> Iterator[Import]:
        """Every import in the file, also those inside functions and for type checkers only."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, (), node.lineno)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno}: a relative import"
                assert node.module is not None
                names = tuple(alias.name for alias in node.names)
                yield Import(node.module, names, node.lineno)

    def place(self, line: int) -> str:
        """Return where a line stands, for messages."""
        return f"{self.path.relative_to(CHECKOUT)}:{line}"


def modules(folder: Path) -> list[Module]:
    """Return the modules below ``sttgate`` or ``plugins``."""
    base = CHECKOUT if folder == CORE else folder
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(base).with_suffix("").parts
        found.append(Module(".".join(part for part in parts if part != "__init__"), path))
    return found


def plugin_modules() -> set[str]:
    """Return the top-level modules and packages in ``plugins``."""
    return {module.name.partition(".")[0] for module in modules(PLUGINS)}
