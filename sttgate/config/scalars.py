"""The words of YAML 1.2's core schema, for reading and for writing.

PyYAML's own rules are those of YAML 1.1, which make false of ``no`` and 45000 of ``12:30:00``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

TAG = "tag:yaml.org,2002:"

_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "null": re.compile(r"(?:~|null|Null|NULL|)\Z"),
    "bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
    "int": re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"),
    "float": re.compile(
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
    ),
}
_FIRST_CHARACTERS = {
    "null": ["~", "n", "N", ""],
    "bool": list("tTfF"),
    "int": list("-+0123456789"),
    "float": list("-+.0123456789"),
}


class Loader(yaml.SafeLoader):
    """A safe loader that knows these words and no others; used to compose nodes only."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's own attribute


for _kind, _pattern in _PATTERNS.items():
    Loader.add_implicit_resolver(f"{TAG}{_kind}", _pattern, _FIRST_CHARACTERS[_kind])


def known(kind: str) -> bool:
    """Tell whether ``kind`` is the tag of a scalar other than text."""
    return kind in _PATTERNS


def convert(kind: str, text: str) -> bool | int | float | None:
    """Turn the text of a scalar into its value; ValueError if it is not of this kind."""
    if not _PATTERNS[kind].match(text):
        raise ValueError(f"not a {kind}")
    lower = text.lower()
    if kind == "null":
        return None
    if kind == "bool":
        return lower == "true"
    if kind == "int":
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text, base)
    if lower.endswith(".inf"):
        return -math.inf if lower.startswith("-") else math.inf
    return math.nan if lower == ".nan" else float(text)


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes that either version of YAML would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML folds text at every line break Unicode knows, and reads each of them back as a space
    broken = text.splitlines() not in ([], [text])
    ambiguous = any(pattern.match(text) for pattern in _PATTERNS.values())
    return dumper.represent_scalar(f"{TAG}str", text, style='"' if ambiguous or broken else None)


_Dumper.add_representer(str, _text)


def write(data: Mapping[str, Any]) -> str:
    """Write plain data as YAML that reads back the same; ``$`` is doubled, as it starts a reference."""
    return yaml.dump(_escaped(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {name: _escaped(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return value
