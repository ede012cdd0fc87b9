"""Who may import what, beyond the table of CONTRIBUTING.md that tests/docs holds against the source."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sttgate
from tests.packaging.checkout import CORE, PLUGINS, modules, pyproject

SERVERS = {
    *("access", "workers", "protocols", "api", "operations", "console", "app", "cli", "testing"),
}
COMES_WITH = {"yarl": "aiohttp", "httpx": "deepgram-sdk", "pydantic_core": "pydantic"}
"""Modules that belong to the public interface of a declared dependency."""


PUBLIC = [
    "AudioInput",
    "BatchProvider",
    "Capabilities",
    "Control",
    "Conversation",
    "DayUsage",
    "EngineThreads",
    "ErrorCode",
    "Finalized",
    "FromEnv",
    "Gap",
    "Hit",
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
    "Recognized",
    "Recording",
    "RecordingStore",
    "RequestError",
    "SessionChange",
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


def test_testing_is_for_tests() -> None:
    """Nothing that ships uses the kit for testing plugins."""
    for module in [*modules(CORE), *modules(PLUGINS)]:
        for imported in module.imports:
            used = imported.module.startswith("sttgate.testing") or (
                imported.module == "sttgate" and "testing" in imported.names
            )
            assert not used or room(module.name) == "testing", module.place(imported.line)


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


def test_servers_stay_in_their_rooms() -> None:
    """aiohttp's server side appears only where requests are answered."""
    wrong = []
    for module in [*modules(CORE), *modules(PLUGINS)]:
        here = room(module.name) if module.path.is_relative_to(CORE) else "a plugin"
        for imported in module.imports:
            serves = imported.module.startswith("aiohttp.web") or (
                imported.module == "aiohttp" and "web" in imported.names
            )
            if serves and here not in SERVERS:
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
