"""Who may import what: the table of docs/design.md, held against the source."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sttgate
from tests.packaging.checkout import CHECKOUT, CORE, PLUGINS, Import, Module, modules, pyproject

LAYERS = (
    {"errors", "events", "audio"},
    {"provider", "stores", "hookspecs", "wav"},
    {"config", "plugins", "testing"},
    {"session"},
    {"gateway", "client", "retranscription"},
    {"protocols", "api", "operations"},
    {"app"},
    {"cli"},
    {"__main__"},
)
"""The rooms of ``sttgate``; imports go to the same layer or to one before it."""
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
SERVERS = {"protocols", "api", "operations", "app", "cli"}
ONLY_IN = {"yaml": {"config"}, "pluggy": {"hookspecs", "plugins"}}
COMES_WITH = {"yarl": "aiohttp", "httpx": "deepgram-sdk", "pydantic_core": "pydantic"}
"""Modules that belong to the public interface of a declared dependency."""


PUBLIC = [
    "AudioInput",
    "Capabilities",
    "Control",
    "Conversation",
    "Finalized",
    "FromEnv",
    "Gap",
    "Mark",
    "NotConfigured",
    "Options",
    "PluginError",
    "Provider",
    "ProviderAuth",
    "ProviderError",
    "ProviderEvent",
    "ProviderProtocol",
    "ProviderQuota",
    "ProviderRejected",
    "ProviderSpec",
    "ProviderTimeout",
    "ProviderUnavailable",
    "Recording",
    "RecordingStore",
    "SearchHit",
    "SessionEnd",
    "SessionPage",
    "SessionQuery",
    "SessionStart",
    "SpeechStarted",
    "StoreError",
    "StoreSpec",
    "StoredSession",
    "StreamParams",
    "SttgateError",
    "Transcript",
    "TranscriptStore",
    "Utterance",
    "UtteranceEnd",
    "Word",
    "hookimpl",
]


def room(module: str) -> str:
    """Return the room of a module: the second part of its name."""
    return module.split(".")[1] if "." in module else "__init__"


def rooms_imported(imported: Import) -> Iterator[str]:
    """Yield the rooms an import leads to; ``from sttgate import errors`` leads to ``errors``."""
    if imported.module != "sttgate":
        yield room(imported.module)
    else:
        for name in imported.names or ("__init__",):
            yield name if (CORE / f"{name}.py").exists() or (CORE / name).is_dir() else "__init__"


def internal(module: Module) -> Iterator[Import]:
    for imported in module.imports:
        if imported.module.partition(".")[0] == "sttgate":
            yield imported


def test_every_room_has_a_layer() -> None:
    """A new module of ``sttgate`` gets a place in the table, and no place is left empty."""
    rooms = {room(module.name) for module in modules(CORE)} - {"__init__"}
    assert rooms - set(RANK) == set(), "give them a layer in LAYERS"
    assert set(RANK) - rooms <= {"retranscription"}, "there is no such module any more"


def test_imports_go_one_way() -> None:
    """Nothing imports what is built on top of it."""
    wrong = []
    for module in modules(CORE):
        if room(module.name) == "__init__":
            continue  # the public names, each imported when it is asked for
        for imported in internal(module):
            for target in rooms_imported(imported):
                if target == "__init__":
                    wrong.append(f"{module.place(imported.line)}: import from the module itself")
                elif RANK[target] > RANK[room(module.name)]:
                    wrong.append(f"{module.place(imported.line)}: {target} is above")
                elif target == "testing" != room(module.name):
                    wrong.append(f"{module.place(imported.line)}: testing is for tests")
    assert wrong == []


def test_public_names_are_from_below() -> None:
    """What a plugin author imports comes from the first two layers."""
    (package,) = (module for module in modules(CORE) if room(module.name) == "__init__")
    for imported in internal(package):
        assert RANK[room(imported.module)] <= 1, package.place(imported.line)


def test_plugins_import_the_public_names_only() -> None:
    """A shipped plugin imports ``sttgate``, itself and its SDK: what anyone's plugin can do."""
    wrong = []
    ours = {module.name.partition(".")[0] for module in modules(PLUGINS)}
    for module in modules(PLUGINS):
        own = module.name.partition(".")[0]
        for imported in module.imports:
            top = imported.module.partition(".")[0]
            place = module.place(imported.line)
            if top == "sttgate" and imported.module != "sttgate":
                wrong.append(f"{place}: {imported.module} is internal")
            elif top == "sttgate":
                wrong += [
                    f"{place}: sttgate.{name} is not public"
                    for name in imported.names
                    if name not in sttgate.__all__
                ]
            elif top in ours - {own}:
                wrong.append(f"{place}: {top} is another plugin")
    assert wrong == []


def test_servers_and_libraries_stay_in_their_rooms() -> None:
    """aiohttp's server side, YAML and pluggy appear only where the table says."""
    wrong = []
    for module in [*modules(CORE), *modules(PLUGINS)]:
        here = room(module.name) if module.path.is_relative_to(CORE) else "a plugin"
        for imported in module.imports:
            top = imported.module.partition(".")[0]
            serves = imported.module.startswith("aiohttp.web") or (
                imported.module == "aiohttp" and "web" in imported.names
            )
            if (serves and here not in SERVERS) or here not in ONLY_IN.get(top, {here}):
                wrong.append(f"{module.place(imported.line)}: {imported.module} in {here}")
    assert wrong == []


def test_dependencies_are_declared() -> None:
    """Every module from elsewhere belongs to a dependency in pyproject.toml."""
    project = pyproject()["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    distributions = packages_distributions()
    unknown = set()
    for module in [*modules(CORE), *modules(PLUGINS)]:
        for imported in module.imports:
            top = imported.module.partition(".")[0]
            if top in sys.stdlib_module_names or top.startswith("sttgate") or top in COMES_WITH:
                continue
            names = {canonicalize_name(name) for name in distributions.get(top, [top])}
            if not names & declared:
                unknown.add(f"{module.place(imported.line)}: {top}")
    assert unknown == set()
    assert set(COMES_WITH.values()) <= declared


class TestPublicNames:
    def test_pinned(self) -> None:
        """The names of ``sttgate`` are a promise: whoever changes this list changes the promise."""
        assert sttgate.__all__ == PUBLIC

    def test_resolve(self) -> None:
        """Each name is there, in ``dir`` too, and is what its module calls by that name."""
        assert set(sttgate.__all__) <= set(dir(sttgate))
        for name in sttgate.__all__:
            value = getattr(sttgate, name)
            module = import_module(getattr(value, "__module__", None) or "sttgate.events")
            assert name == "hookimpl" or getattr(module, name, value) is value

    def test_documented(self) -> None:
        """Each public class says what it is."""
        for name in sttgate.__all__:
            assert getattr(sttgate, name).__doc__, name

    def test_unknown(self) -> None:
        """A name that is not there is an AttributeError that names it."""
        with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
            sttgate.Nonsense  # noqa: B018
        with pytest.raises(ImportError, match="Nonsense"):
            from sttgate import Nonsense  # type: ignore[attr-defined] # noqa: F401


def test_file_names_are_portable() -> None:
    """No two files differ only by case, and no name needs quoting."""
    names = [str(path.relative_to(CHECKOUT)) for path in Path(CORE).rglob("*.py")]
    assert len({name.lower() for name in names}) == len(names)
    assert all(name == name.lower() for name in names)
