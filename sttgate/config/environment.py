"""What the environment adds to a configuration: the ``.env`` file, and variables that set keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sttgate.config.document import Document, Place
from sttgate.config.modes import others_can_read
from sttgate.config.reading import LARGEST_TEXT, parse_value

PREFIX = "STTGATE__"

_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
_VALUE = re.compile(
    r"""'(?P<plain>[^']*)'\s*(?:\#.*)?|"(?P<escaped>(?:[^"\\]|\\.)*)"\s*(?:\#.*)?"""
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def read_dotenv(path: Path, file: str, document: Document) -> dict[str, str]:
    """Read ``NAME=value`` lines; ``file`` is how messages call it. A missing file has none.

    ``export`` before a name, quotes around a value and comments are understood; nothing is expanded.
    """
    try:
        with path.open("rb") as source:
            content = source.read(LARGEST_TEXT)
    except FileNotFoundError:
        return {}
    except OSError as error:
        document.report(Place(file), "", f"cannot be read ({error.strerror})")
        return {}
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        document.report(Place(file), "", "is not text in UTF-8")
        return {}
    variables = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or "\0" in line:
            document.report(Place(file, number, 1), "", "expected NAME=value")
        else:
            variables[match["name"]] = _unquoted(match["value"])
    if variables and others_can_read(path):
        message = "every user of this machine can read it (chmod 600 it)"
        document.report(Place(file), "", message, warning=True)
    return variables


def _unquoted(value: str) -> str:
    quoted = _VALUE.fullmatch(value)
    if quoted is None:
        return re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
    if quoted["plain"] is not None:
        return quoted["plain"]
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), quoted["escaped"])


def override_from_environment(document: Document, environment: Mapping[str, str]) -> None:
    """Apply ``STTGATE__SECTION__KEY=value``: values are YAML, an empty variable counts as not set."""
    for variable in sorted(environment):
        value = environment[variable]
        if variable.startswith(PREFIX) and value:
            parts = variable.removeprefix(PREFIX).split("__")
            _override(document, _spelled(document, parts), value, Place(variable))


def override_from_options(document: Document, settings: Mapping[str, str]) -> None:
    """Apply ``--set key.path=value``; values are YAML."""
    for key, value in settings.items():
        _override(document, tuple(key.split(".")), value, Place("--set"))


def _override(document: Document, key: tuple[str, ...], text: str, place: Place) -> None:
    if not all(key):
        document.report(place, ".".join(key), "this names no key")
        return
    usable, value = parse_value(text, key, place, document)
    if usable and not document.put(key, value, place):
        document.report(
            place, ".".join(key), "cannot be set, what is around it is not a block of keys"
        )


def _spelled(document: Document, parts: list[str]) -> tuple[str, ...]:
    """Spell the parts of a variable's name like the keys that are there, else in small letters."""
    key: list[str] = []
    block: object = document.data
    for part in parts:
        names = list(block) if isinstance(block, dict) else []
        same = (name for name in names if _folded(name) == _folded(part))
        name = next(same, part.lower())
        key.append(name)
        block = block.get(name) if isinstance(block, dict) else None
    return tuple(key)


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")
