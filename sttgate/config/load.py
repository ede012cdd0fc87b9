"""From files, environment and options to a ``Config``, or to every mistake in them at once."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from sttgate.config.document import Document, Place
from sttgate.config.environment import override_from_environment, override_from_options, read_dotenv
from sttgate.config.messages import explain, suggest
from sttgate.config.model import (
    SHIPPED,
    AccessConfig,
    Config,
    LimitsConfig,
    LogConfig,
    MetricsConfig,
    PluginsConfig,
    ProviderConfig,
    RetentionConfig,
    ServerConfig,
    SpoolConfig,
    StoreConfig,
    TracesConfig,
    UploadsConfig,
)
from sttgate.config.options import anchored, fill
from sttgate.config.reading import LARGEST_TEXT, parse
from sttgate.errors import ConfigError, Problem
from sttgate.plugins import Offer, Plugins, SpecT

VARIABLE = "STTGATE_CONFIG"
FILE = "config.yaml"
SECTIONS = (
    "server",
    "providers",
    "chain",
    "transcripts",
    "recordings",
    "spool",
    "access",
    "limits",
    "uploads",
    "retention",
    "log",
    "metrics",
    "traces",
    "plugins",
)

_NONE: Mapping[str, str] = MappingProxyType({})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

ModelT = TypeVar("ModelT", bound=BaseModel)


def find_config(cwd: Path, environ: Mapping[str, str]) -> Path | None:
    """Return the file that ``STTGATE_CONFIG`` names, else ``config.yaml`` in ``cwd`` if there is one."""
    named = environ.get(VARIABLE)
    path = cwd / os.path.expanduser(named or FILE)
    if path.exists():
        return path
    if named:
        raise ConfigError([Problem(VARIABLE, 0, 0, "", f"{path}: {_missing(named)}")])
    return None


def load_config(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, str] = _NONE,
    cwd: Path,
    plugins: Plugins | None = None,
) -> Config:
    """Read the configuration in ``path``, or take the shipped one if it is None.

    With ``plugins`` none are loaded. ``overrides`` maps dotted keys to YAML text; it beats
    ``STTGATE__SECTION__KEY`` in ``environ``, and that beats the file. Raises ConfigError with every
    mistake there is, also those of plugins.
    """
    loading = _Loading(path, environ, overrides, cwd)
    if not loading.readable:
        raise ConfigError(loading.mistakes())
    settings = loading.plugin_settings() or PluginsConfig()
    if plugins is None:
        plugins = Plugins.load(settings.dirs, settings.disabled, settings.allowed)
        loading.report(plugins, settings)
    config = loading.config(plugins)
    mistakes = loading.mistakes()
    if mistakes or config is None:
        raise ConfigError(mistakes) from next(iter(plugins.errors), None)
    return config


def load_plugins(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, str] = _NONE,
    cwd: Path,
) -> Plugins:
    """Load only the plugins, for looking at them: broken ones are data, other sections may be wrong."""
    loading = _Loading(path, environ, overrides, cwd)
    settings = loading.plugin_settings() if loading.readable else None
    if settings is None:
        raise ConfigError(loading.mistakes())
    return Plugins.load(settings.dirs, settings.disabled, settings.allowed)


class _Chosen(NamedTuple, Generic[SpecT]):
    spec: SpecT
    options: BaseModel


class _Loading:
    """One configuration on its way from text to types; ``document`` gathers the mistakes."""

    def __init__(
        self,
        path: Path | None,
        environ: Mapping[str, str],
        overrides: Mapping[str, str],
        cwd: Path,
    ) -> None:
        self._cwd = cwd
        self._path = Path(os.path.normpath(cwd / path)) if path else None
        self._base = self._path.parent if self._path else cwd
        self.document = Document(self._label(self._path) if self._path else FILE)
        dotenv = self._base / ".env"
        self._environment = {**read_dotenv(dotenv, self._label(dotenv), self.document), **environ}
        self.readable = self._read()
        if self.readable:
            if self.document.data.get("providers") is None:
                self.document.data["providers"] = copy.deepcopy(SHIPPED["providers"])
            override_from_environment(self.document, self._environment)
            override_from_options(self.document, overrides)

    def mistakes(self) -> list[Problem]:
        """Return the problems that are no mere warnings: those of the file first, by line."""
        mistakes = [problem for problem in self.document.problems if not problem.warning]
        return sorted(mistakes, key=self._order)

    def plugin_settings(self) -> PluginsConfig | None:
        """Tell which plugins to load; None if that section is wrong."""
        settings = self._section("plugins", PluginsConfig)
        usual = self._base / "plugins"
        if settings and self._path and "dirs" not in settings.model_fields_set and usual.is_dir():
            return settings.model_copy(update={"dirs": (usual,)})
        return settings

    def report(self, plugins: Plugins, settings: PluginsConfig) -> None:
        """Note every broken plugin, and names in ``settings`` that no plugin has."""
        for broken in plugins.errors:
            message = f"{broken.cause}; {broken.cure}"
            if broken.info is None:
                index = next(i for i, path in enumerate(plugins.dirs) if path == broken.file)
                self.document.complain(("plugins", "dirs", index), message)
            else:
                file = broken.file and Place(self._label(broken.file), broken.line, 1)
                place = file or self.document.place(())
                self.document.report(place, f"plugin {broken.info.name}", message)
        for file, plugin in plugins.shadowed:
            message = f"not loaded, as the {plugin} is installed; `pip install -e` uses this copy"
            place = Place(self._label(file), 1, 1)
            self.document.report(place, f"plugin {plugin.name}", message, warning=True)
        found = {plugin.name for plugin in (*plugins.loaded, *plugins.disabled)}
        found |= {broken.info.name for broken in plugins.errors if broken.info}
        for key, names in (("disabled", settings.disabled), ("allowed", settings.allowed or ())):
            for index, name in enumerate(names):
                if name not in found:
                    message = f"there is no plugin by the name '{name}'"
                    self.document.complain(("plugins", key, index), message, warning=True)

    def config(self, plugins: Plugins) -> Config | None:
        """Check everything else; None if something is wrong."""
        data = self.document.data
        for name in data:
            if name not in SECTIONS:
                message = f"unknown key{suggest(name, SECTIONS)}"
                self.document.complain((name,), message, at_key=True)
        server = self._section("server", ServerConfig)
        spool = self._section("spool", SpoolConfig)
        access = self._section("access", AccessConfig)
        limits = self._section("limits", LimitsConfig)
        uploads = self._section("uploads", UploadsConfig)
        retention = self._section("retention", RetentionConfig)
        log = self._section("log", LogConfig)
        metrics = self._section("metrics", MetricsConfig)
        traces = self._section("traces", TracesConfig)
        providers = self._providers(plugins)
        chain = self._chain()
        transcripts = self._store("transcripts", plugins, plugins.transcript_stores)
        recordings = self._store("recordings", plugins, plugins.recording_stores)
        if not (server and spool and providers and chain and transcripts and recordings):
            return None
        if not (access and limits and uploads and retention and log and metrics and traces):
            return None
        return Config(
            path=self._path,
            base=self._base,
            server=server,
            providers=MappingProxyType(providers),
            chain=chain,
            transcripts=StoreConfig(spec=transcripts.spec, options=transcripts.options),
            recordings=StoreConfig(spec=recordings.spec, options=recordings.options),
            spool=spool,
            access=access,
            limits=limits,
            uploads=uploads,
            retention=retention,
            log=log,
            metrics=metrics,
            traces=traces,
            plugins=plugins,
            warnings=tuple(sorted(self.document.problems, key=self._order)),
        )

    def _read(self) -> bool:
        if self._path is None:
            return True
        place = Place(self.document.file)
        try:
            with self._path.open("rb") as file:
                content = file.read(LARGEST_TEXT + 1)
            text = content.decode("utf-8-sig")
        except FileNotFoundError:
            self.document.report(place, "", _missing(self.document.file))
        except OSError as error:
            self.document.report(place, "", f"cannot be read ({error.strerror})")
        except UnicodeDecodeError as error:
            place = Place(self.document.file, content[: error.start].count(b"\n") + 1, 1)
            self.document.report(place, "", "not text in UTF-8")
        else:
            return parse(text, self.document, self._environment, self._base)
        return False

    def _providers(self, plugins: Plugins) -> dict[str, ProviderConfig]:
        blocks = self.document.data["providers"]
        if not isinstance(blocks, dict):
            self.document.complain(("providers",), "must be a block of providers by name")
            return {}
        off = {plugin.name for plugin in plugins.disabled}
        for name in [name for name in blocks if name in off and self._is_shipped(name)]:
            del blocks[name]
        if not blocks:
            self.document.complain(("providers",), "must hold at least one provider")
        providers = {}
        for name in blocks:
            if not _NAME.fullmatch(name):
                message = "a provider's name is made of letters, digits, '-' and '_'"
                self.document.complain(("providers", name), message, at_key=True)
            chosen = self._choose(("providers", name), name, plugins, plugins.providers)
            if chosen:
                providers[name] = ProviderConfig(
                    name=name, spec=chosen.spec, options=chosen.options
                )
        return providers if len(providers) == len(blocks) else {}

    def _is_shipped(self, name: str) -> bool:
        """Tell whether nobody wrote this provider's block."""
        key = ("providers", name)
        return key not in self.document.keys and key not in self.document.values

    def _chain(self) -> tuple[str, ...]:
        names, chain = self.document.data["providers"], self.document.data.get("chain")
        if not isinstance(names, dict) or self.document.blamed(("chain",)):
            return ()
        if chain is None:
            usual = [name for name in SHIPPED["chain"] if name in names]
            chain = usual or list(names)
            if len(names) > 1 and not usual:
                example = f"[{', '.join(names)}]"
                message = (
                    f"required key is missing: the providers to try, in order, such as {example}"
                )
                self.document.complain(("chain",), message)
            return tuple(chain)
        if not isinstance(chain, list):
            self.document.complain(("chain",), "must be a list of providers, such as [deepgram]")
            return ()
        if not chain:
            self.document.complain(("chain",), "must name at least one provider")
        for index, name in enumerate(chain):
            key = ("chain", index)
            if not isinstance(name, str):
                self.document.complain(key, "must be the name of a provider")
            elif name not in names:
                hint = suggest(name, names) or f"; there are {_listed(names)}"
                self.document.complain(key, f"no provider has the name '{name}'{hint}")
            elif name in chain[:index]:
                self.document.complain(key, f"'{name}' is in the chain twice")
        return tuple(str(name) for name in chain)

    def _store(
        self, section: str, plugins: Plugins, offers: Mapping[str, Offer[SpecT]]
    ) -> _Chosen[SpecT] | None:
        if self.document.data.get(section) is None:
            self.document.data[section] = {}
        return self._choose((section,), SHIPPED[section]["use"], plugins, offers)

    def _choose(
        self,
        key: tuple[str, ...],
        default: str,
        plugins: Plugins,
        offers: Mapping[str, Offer[SpecT]],
    ) -> _Chosen[SpecT] | None:
        """Take the plugin a block names with ``use``, and check the block against its options."""
        parent: Any = self.document.data
        for name in key[:-1]:
            parent = parent[name]
        if parent[key[-1]] is None and not self.document.blamed(key):
            parent[key[-1]] = {}
        block = parent[key[-1]]
        if not isinstance(block, dict):
            self.document.complain(key, "must be a block of options, or empty")
            return None
        if self.document.blamed((*key, "use")):
            return None
        use = block.get("use")
        if use is None:
            use = default
        if not isinstance(use, str):
            self.document.complain((*key, "use"), "must be the name of a plugin")
            return None
        if use not in offers:
            self._unknown(key, use, plugins, offers)
            return None
        spec = offers[use].spec
        fill(self.document, key, spec.options, self._environment)
        options = {name: value for name, value in block.items() if name != "use"}
        checked = self._validated(key, options, spec.options)
        return None if checked is None else _Chosen(spec, checked)

    def _unknown(
        self, key: tuple[str, ...], use: str, plugins: Plugins, offers: Mapping[str, object]
    ) -> None:
        if any(broken.info and broken.info.name == use for broken in plugins.errors):
            return  # it is told what is wrong with that plugin
        where = (*key, "use") if (*key, "use") in self.document.values else key
        if any(plugin.name == use for plugin in plugins.disabled):
            off = "in plugins.disabled" if plugins.allows(use) else "not in plugins.allowed"
            message = f"the plugin '{use}' is {off}"
        else:
            message = f"unknown type{suggest(use, offers)}; installed: {_listed(offers)}"
        self.document.complain(where, message, at_key=where == key)

    def _section(self, name: str, model: type[ModelT]) -> ModelT | None:
        block = self.document.data.get(name)
        if block is None:
            block = self.document.data[name] = {}
        if not isinstance(block, dict):
            self.document.complain((name,), "must be a block of keys")
            return None
        return self._validated((name,), block, model)

    def _validated(
        self, key: tuple[str, ...], block: Mapping[str, Any], model: type[ModelT]
    ) -> ModelT | None:
        try:
            return anchored(model.model_validate(block), self._base)
        except ValidationError as error:
            explain(self.document, key, error, model)
        except Exception as error:  # a plugin's own validator may raise anything
            message = f"its plugin could not check these options ({type(error).__name__})"
            self.document.complain(key, message)
        return None

    def _label(self, path: Path) -> str:
        return str(path.relative_to(self._cwd) if path.is_relative_to(self._cwd) else path)

    def _order(self, problem: Problem) -> tuple[bool, str, int, int]:
        other = problem.file != self.document.file
        return other, problem.file, problem.line, problem.column


def _missing(name: str) -> str:
    return f"there is no such file: make one with `sttgate config init {name}`"


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"
