"""The table of threats in docs/security.md, which is also what `pytest -m security` runs."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from tests.docs.pages import read, section, table

PAGE = "docs/security.md"
NOT_YET = "not yet"
_CODE = re.compile(r"`([^`]+)`")


class Threat(NamedTuple):
    """A row: its number, what threatens, the modules that defend, the tests that hold them to it."""

    number: str
    text: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    not_yet: bool


def threats() -> list[Threat]:
    """Return the rows in their order."""
    rows = table(section(read(PAGE), "Threats and defences"))
    return [
        Threat(
            number=number,
            text=text,
            modules=tuple(code for code in _CODE.findall(defence) if code.endswith(".py")),
            tests=tuple(_CODE.findall(tests)),
            not_yet=NOT_YET in defence or NOT_YET in tests,
        )
        for number, text, defence, tests in rows
    ]


def is_named(node_id: str, names: Collection[str]) -> bool:
    """Whether a test of pytest, or its class or file, is one of ``names``."""
    parts = node_id.partition("[")[0].split("::")
    return any("::".join(parts[:count]) in names for count in range(1, len(parts) + 1))
