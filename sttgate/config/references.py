"""``${VAR}``, ``${VAR:-default}`` and ``${file:/path}`` inside the values of a configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

LARGEST_FILE = 64 * 1024

_REFERENCE = re.compile(r"\$\$|\$\{(?P<body>[^}]*)\}|\$\{")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)
_FILE = "file:"


class BadReference(ValueError):
    """A reference leads nowhere; the text says why, and never holds a value."""


def fill(text: str, environment: Mapping[str, str], base: Path) -> str:
    """Replace every reference in ``text``; ``$$`` gives one ``$``. Files are relative to ``base``.

    As in a shell, ``:-`` also replaces an empty variable, and a file loses its last line breaks.
    """

    def one(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        body = match["body"] or ""
        if body.startswith(_FILE):
            return _content(_path(body, base))
        variable = _VARIABLE.fullmatch(body)
        if variable is None:
            forms = "${VAR}, ${VAR:-default} or ${file:/path}"
            raise BadReference(f"'${{' must start one of {forms} (write $$ for a plain $)")
        name, default = variable["name"], variable["default"]
        if default is not None:
            return environment.get(name) or default.removeprefix(":-")
        if name not in environment:
            hint = f"(use ${{{name}:-default}} for a default)"
            raise BadReference(f"environment variable {name} is not set {hint}")
        return environment[name]

    return _REFERENCE.sub(one, text)


def files(text: str, base: Path) -> Iterator[Path]:
    """Yield the files that ``text`` refers to."""
    for match in _REFERENCE.finditer(text):
        if (match["body"] or "").startswith(_FILE):
            yield _path(match["body"], base)


def _path(body: str, base: Path) -> Path:
    return base / os.path.expanduser(body.removeprefix(_FILE).strip())


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise BadReference(f"file {path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BadReference("'${file:…}' does not hold a path") from error
    if len(content) > LARGEST_FILE:
        raise BadReference(f"file {path} is larger than {LARGEST_FILE // 1024} KiB")
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise BadReference(f"file {path} is not text in UTF-8") from error
