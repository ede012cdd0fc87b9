"""Projects of plugins, rendered from the templates that come with the package.

A template is a file that ends in ``.template``; its text is a ``string.Template``. In its name
``MODULE`` stands for the module of the plugin, and a leading ``dot-`` for a dot.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from string import Template

import click

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST = 20  # characters; longer names make lines of the templates too long
_ENDING = ".template"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of plugin: what it is in a few words, its class, and what it needs besides sttgate."""

    what: str
    role: str
    dependencies: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "stream": Kind("a provider behind a WebSocket", "Provider", ("aiohttp", "pydantic", "sttgate")),
    "batch": Kind(
        "a provider that takes whole utterances over HTTP",
        "Provider",
        ("aiohttp", "pydantic", "sttgate[vad]"),
    ),
    "transcripts": Kind("a transcript store", "Store", ("pydantic", "sttgate")),
    "recordings": Kind("a recording store", "Store", ("pydantic", "sttgate")),
}


@dataclass(frozen=True, slots=True)
class Project:
    """A plugin that is to be: ``name`` is what config.yaml calls it, such as ``acme-speech``."""

    name: str
    kind: str

    @property
    def distribution(self) -> str:
        """What pip installs."""
        return f"sttgate-{self.name}"

    @property
    def module(self) -> str:
        """What Python imports."""
        return f"sttgate_{self.name.replace('-', '_')}"

    @property
    def stem(self) -> str:
        """How the names of its classes begin."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield the path and the text of each file."""
        kind = KINDS[self.kind]
        words = {
            "name": self.name,
            "distribution": self.distribution,
            "module": self.module,
            "Name": self.stem,
            "NAME": self.name.replace("-", "_").upper(),
            "title": " ".join(part.capitalize() for part in self.name.split("-")),
            "what": kind.what,
            "What": kind.what[0].upper() + kind.what[1:],
            "dependencies": ", ".join(f'"{each}"' for each in kind.dependencies),
        }
        templates = files("sttgate") / "templates" / "new_plugin"
        for folder in ("common", self.kind):
            for path, template in _below(templates / folder):
                yield path.replace("MODULE", self.module), Template(template).substitute(words)

    def write(self, folder: Path) -> None:
        """Write the project into ``folder``, which is made; ClickException if it has something in it."""
        try:
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise click.ClickException(
                    f"{folder} exists already; choose another folder with --dir."
                )
            for path, text in self.files():
                file = folder / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise click.ClickException(
                f"{folder} cannot be written: {error.strerror}; choose another folder with --dir."
            ) from error


def plan(name: str, kind: str, taken: Collection[str]) -> Project:
    """Return the project of a plugin called ``name``, in any spelling; BadParameter if it cannot be.

    ``taken`` are the names of the plugins, providers and stores there are.
    """
    import sttgate

    plain = re.sub(r"[-_. ]+", "-", name.strip().lower()).removeprefix("sttgate-")
    if not _NAME.fullmatch(plain):
        raise click.BadParameter(
            f"{name!r} is no name for a plugin: use letters, digits and '-', "
            "with a letter first, such as acme or acme-speech."
        )
    if len(plain) > _LONGEST:
        raise click.BadParameter(f"{name!r} is too long: use {_LONGEST} characters at most.")
    project = Project(plain, kind)
    if plain in taken:
        raise click.BadParameter(
            f"there is a plugin {plain!r} already (`sttgate plugins show {plain}`); choose another name."
        )
    if plain.replace("-", "_") in sys.stdlib_module_names:
        raise click.BadParameter(
            f"{plain!r} is a module of Python; choose another name, such as {plain}-speech."
        )
    if find_spec(project.module) is not None:
        raise click.BadParameter(
            f"there is a module {project.module!r} already; choose another name, or uninstall it."
        )
    if f"{project.stem}{KINDS[kind].role}" in sttgate.__all__:
        raise click.BadParameter(
            f"{plain!r} is a word sttgate uses itself; choose another name, such as my-{plain}."
        )
    return project


def _below(folder: Traversable, place: str = "") -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = entry.name
        if name.startswith("dot-"):
            name = "." + name.removeprefix("dot-")
        if entry.is_dir():
            yield from _below(entry, f"{place}{name}/")
        elif name.endswith(_ENDING):
            yield place + name.removesuffix(_ENDING), entry.read_text(encoding="utf-8")
