"""Finds plugins, asks each one by itself what it offers, and says exactly what is wrong with a broken one."""

from __future__ import annotations

import difflib
import importlib.machinery
import importlib.util
import inspect
import itertools
import os
import re
import stat
import sys
import traceback
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import pluggy
from pydantic import BaseModel

from sttgate import hookspecs
from sttgate.errors import PluginError
from sttgate.provider import ProviderSpec
from sttgate.stores import StoreSpec

SpecT = TypeVar("SpecT", ProviderSpec, StoreSpec)
Origin = Literal["built-in", "entry point", "folder"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """Where a plugin comes from: its distribution if it was installed, and the file it is in."""

    name: str
    origin: Origin
    file: Path | None = None
    distribution: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        source = self.file or self.distribution
        return f"plugin '{self.name}' ({source})" if source else f"plugin '{self.name}'"


class Offer(NamedTuple, Generic[SpecT]):
    """What a plugin offers, and which plugin it was."""

    spec: SpecT
    plugin: PluginInfo


class Shadowed(NamedTuple):
    """A file that was not loaded, and the installed plugin that counts instead."""

    file: Path
    plugin: PluginInfo


class BrokenPlugin(PluginError):
    """A plugin, or a folder of plugins, that cannot be used.

    ``info`` is None when a folder is at fault, ``file`` is then the folder. ``line`` is the line in
    ``file`` that raised, as far as it is known. ``cause`` and ``cure`` are the parts of the sentence.
    """

    def __init__(
        self,
        info: PluginInfo | None,
        file: Path | None,
        cause: str,
        *,
        cure: str = "",
        line: int = 1,
    ) -> None:
        if info is not None and not cure:
            switch = f"`plugins: {{disabled: [{info.name}]}}`"
            cure = f"mend it, or switch it off in config.yaml with {switch}"
        super().__init__(f"{info or f'plugin folder {file}'}: {cause}; {cure}.")
        self.info = info
        self.file = file
        self.cause = cause
        self.cure = cure
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """The plugins of one process and what they offer by name; build it with ``load``.

    ``allowed`` names those that may be loaded, None for all. ``disabled`` holds the plugins that
    were found and left alone, ``errors`` those that are broken: they offer nothing. ``shadowed``
    are modules in folders that were passed over because a module of the same name is installed, as
    in a checkout that was installed not as editable but as a copy. Each ``Plugins`` has its own
    copies of the modules in drop-in folders.
    """

    dirs: tuple[Path, ...] = ()
    allowed: tuple[str, ...] | None = None
    loaded: tuple[PluginInfo, ...] = ()
    disabled: tuple[PluginInfo, ...] = ()
    errors: tuple[BrokenPlugin, ...] = ()
    shadowed: tuple[Shadowed, ...] = ()
    providers: Mapping[str, Offer[ProviderSpec]] = field(default_factory=dict)
    transcript_stores: Mapping[str, Offer[StoreSpec]] = field(default_factory=dict)
    recording_stores: Mapping[str, Offer[StoreSpec]] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        dirs: Sequence[Path] = (),
        disabled: Collection[str] = (),
        allowed: Sequence[str] | None = None,
    ) -> Plugins:
        """Load every installed plugin and every one in the folders ``dirs``; never raises for a bad one.

        Of those that are ``disabled``, or not among the ``allowed`` if that is no None, nothing is run.
        """
        loader = _Loader(disabled, allowed)
        installed = list(_installed())
        for found in installed:
            loader.add(found)
        modules = {found.module: found.info for found in installed}
        known = {found.info.file for found in installed if found.info.file}
        shadowed = []
        for folder in dirs:
            try:
                dropped = _dropped(folder, known)
            except PluginError as error:
                cure = "mend that, or take the folder out of `plugins: {dirs: [...]}`"
                loader.errors.append(BrokenPlugin(None, folder, str(error), cure=cure))
                continue
            for found in dropped:
                if found.info.file and found.module in modules:
                    shadowed.append(Shadowed(found.info.file, modules[found.module]))
                else:
                    loader.add(found)
        return cls(
            dirs=tuple(dirs),
            allowed=None if allowed is None else tuple(allowed),
            loaded=tuple(loader.loaded),
            disabled=tuple(loader.skipped),
            errors=tuple(loader.errors),
            shadowed=tuple(shadowed),
            providers=MappingProxyType(loader.providers),
            transcript_stores=MappingProxyType(loader.transcript_stores),
            recording_stores=MappingProxyType(loader.recording_stores),
        )

    def allows(self, name: str) -> bool:
        """Whether a plugin of this name may be loaded, if it is not disabled."""
        return self.allowed is None or name in self.allowed

    def require(self) -> Plugins:
        """Return this, or raise one PluginError that tells about every broken plugin."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            raise PluginError("\n".join(str(error) for error in self.errors))
        return self


class _Found(NamedTuple):
    info: PluginInfo
    load: Callable[[], object]
    module: str


class _Loader:
    """Takes plugins one at a time into a pluggy manager and keeps what they offer."""

    def __init__(self, disabled: Collection[str], allowed: Collection[str] | None) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._off = disabled
        self._allowed = allowed
        self._names: dict[str, PluginInfo] = {}
        self.loaded: list[PluginInfo] = []
        self.skipped: list[PluginInfo] = []
        self.errors: list[BrokenPlugin] = []
        self.providers: dict[str, Offer[ProviderSpec]] = {}
        self.transcript_stores: dict[str, Offer[StoreSpec]] = {}
        self.recording_stores: dict[str, Offer[StoreSpec]] = {}

    def add(self, found: _Found) -> None:
        info = found.info
        off = self._allowed is not None and info.name not in self._allowed
        if off or info.name in self._off:
            self.skipped.append(info)
            return
        if info.name in self._names:
            cause = f"the {self._names[info.name]} has the same name"
            self._fail(info, PluginError(cause), cure="rename one, or uninstall it")
            return
        self._names[info.name] = info
        try:
            plugin = found.load()
            self._register(plugin, info.name)
            self._keep(plugin, info)
        except (Exception, SystemExit) as error:
            if self._manager.get_plugin(info.name) is not None:
                self._manager.unregister(name=info.name)
            self._fail(info, error)
        else:
            self.loaded.append(info)

    def _fail(self, info: PluginInfo, error: BaseException, cure: str = "") -> None:
        cause = _words(error)
        broken = BrokenPlugin(info, info.file, cause, cure=cure, line=_line(error, info.file))
        broken.__cause__ = error
        self.errors.append(broken)

    def _register(self, plugin: object, name: str) -> None:
        if not isinstance(plugin, Hashable):
            raise PluginError("its entry point names an object that has no hash; name a module")
        self._manager.register(plugin, name)
        callers = self._manager.get_hookcallers(plugin) or []
        if not callers:
            raise PluginError(
                "it implements no hook: mark functions with @sttgate.hookimpl "
                "(a helper module's file name starts with '_')"
            )
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            specified = [
                name for name in vars(hookspecs) if name.startswith(f"{hookspecs.PROJECT}_")
            ]
            unknown = next(caller.name for caller in callers if not caller.has_spec())
            close = difflib.get_close_matches(unknown, specified, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"hooks: {', '.join(specified)}"
            raise PluginError(f"there is no hook '{unknown}' ({hint})") from None
        for caller in callers:
            for implementation in caller.get_hookimpls():
                function = implementation.function
                if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
                    raise PluginError(f"the hook {caller.name} is async; hooks are plain functions")

    def _keep(self, plugin: object, info: PluginInfo) -> None:
        """Merge what ``plugin`` offers, all or nothing."""
        providers = self._ask(plugin, "sttgate_providers", ProviderSpec)
        transcripts = self._ask(plugin, "sttgate_transcript_stores", StoreSpec)
        recordings = self._ask(plugin, "sttgate_recording_stores", StoreSpec)
        _refuse_taken("provider", providers, self.providers)
        _refuse_taken("transcript store", transcripts, self.transcript_stores)
        _refuse_taken("recording store", recordings, self.recording_stores)
        self.providers.update((spec.name, Offer(spec, info)) for spec in providers)
        self.transcript_stores.update((spec.name, Offer(spec, info)) for spec in transcripts)
        self.recording_stores.update((spec.name, Offer(spec, info)) for spec in recordings)

    def _ask(self, plugin: object, hook: str, kind: type[SpecT]) -> list[SpecT]:
        others = [other for other in self._manager.get_plugins() if other is not plugin]
        ask = self._manager.subset_hook_caller(hook, remove_plugins=others)
        answers = ask()
        # pluggy leaves None out of the answers, which is what a forgotten return looks like
        silent = sum(not (one.wrapper or one.hookwrapper) for one in ask.get_hookimpls()) - len(
            answers
        )
        if silent > 0:
            raise PluginError(f"{hook} returned None, not a list of {kind.__name__}")
        return [
            _checked(spec, hook, kind) for answer in answers for spec in _items(answer, hook, kind)
        ]


def _items(answer: Any, hook: str, kind: type) -> Iterable[object]:
    if inspect.iscoroutine(answer):
        answer.close()
    if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
        raise PluginError(f"{hook} returned {type(answer).__name__}, not a list of {kind.__name__}")
    return answer


def _checked(spec: object, hook: str, kind: type[SpecT]) -> SpecT:
    if not isinstance(spec, kind):
        raise PluginError(f"{hook} returned {type(spec).__name__}, not {kind.__name__}")
    if not isinstance(spec.name, str) or not _NAME.fullmatch(spec.name):
        raise PluginError(f"{hook} offers a name that is not made of letters, digits, '-' and '_'")
    if not callable(spec.factory):
        raise PluginError(f"the factory of '{spec.name}' cannot be called")
    if not (isinstance(spec.options, type) and issubclass(spec.options, BaseModel)):
        raise PluginError(f"the options of '{spec.name}' are not a pydantic model class")
    if any("use" in (name, option.alias) for name, option in spec.options.model_fields.items()):
        raise PluginError(f"'{spec.name}' has an option 'use', which config.yaml needs for itself")
    return spec


def _refuse_taken(what: str, specs: Sequence[SpecT], taken: Mapping[str, Offer[SpecT]]) -> None:
    names = [spec.name for spec in specs]
    for name in names:
        if name in taken:
            raise PluginError(
                f"it offers the {what} '{name}', and so does the {taken[name].plugin}"
            )
        if names.count(name) > 1:
            raise PluginError(f"it offers the {what} '{name}' twice")


def _installed() -> Iterator[_Found]:
    """Yield the plugins of installed distributions, none of them imported yet."""
    for entry in sorted(entry_points(group=hookspecs.PROJECT), key=lambda entry: entry.name):
        distribution = entry.dist.name if entry.dist else None
        info = PluginInfo(
            name=entry.name,
            origin="built-in" if distribution == hookspecs.PROJECT else "entry point",
            file=_source(entry),
            distribution=distribution,
            version=entry.dist.version if entry.dist else None,
        )
        yield _Found(info, entry.load, entry.module.partition(".")[0])


def _source(entry: EntryPoint) -> Path | None:
    """Find the file of an entry point without running any of its code, so that it works for disabled ones."""
    top, *rest = entry.module.split(".")
    try:
        spec = importlib.util.find_spec(top)
        name = top
        for part in rest:
            name = f"{name}.{part}"
            path = spec.submodule_search_locations if spec else None
            spec = importlib.machinery.PathFinder.find_spec(name, path) if path else None
    except (ImportError, ValueError, AttributeError):
        return None
    return Path(spec.origin).resolve() if spec and spec.has_location and spec.origin else None


def _dropped(folder: Path, known: set[Path]) -> list[_Found]:
    """List the plugins in a drop-in folder except those in ``known``, and add their files to ``known``."""
    try:
        _refuse_writable(folder)
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise PluginError(f"it cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise PluginError("it is not a path") from error
    found = []
    for entry in entries:
        module = entry / "__init__.py"
        if entry.name.startswith(("_", ".")):
            continue
        if entry.suffix == ".py" and entry.is_file():
            name, file, package = entry.stem, entry.resolve(), None
        elif module.is_file():
            name, file, package = entry.name, module.resolve(), module.resolve().parent
        else:
            continue
        _refuse_writable(entry)
        if file in known or (package and any(package in other.parents for other in known)):
            continue
        known.add(file)
        info = PluginInfo(name=name, origin="folder", file=file)
        found.append(_Found(info, _Importer(file, package), name))
    return found


def _refuse_writable(path: Path) -> None:
    """Raise PluginError if others than its owner may write to a file or folder; OSError."""
    if os.name != "posix":
        return
    status = path.stat()
    if status.st_mode & stat.S_IWOTH:
        who = "everyone"
    elif status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid, status.st_uid):
        who = "its group"
    else:
        return
    raise PluginError(
        f"{who} may write to {path.name}, and so run code here (chmod go-w {path.name})"
    )


def _is_private(gid: int, uid: int) -> bool:
    """Whether a group is the one that many systems make for each user, who is alone in it."""
    import grp
    import pwd

    try:
        group, owner = grp.getgrgid(gid), pwd.getpwuid(uid)
    except KeyError:
        return False
    return group.gr_name == owner.pw_name and set(group.gr_mem) <= {owner.pw_name}


@dataclass(frozen=True, slots=True)
class _Importer:
    """Imports a file, or the package in a folder, under a module name nobody has."""

    file: Path
    package: Path | None

    def __call__(self) -> object:
        stem = re.sub(r"\W", "_", self.package.name if self.package else self.file.stem)
        names = (f"sttgate_plugin_{stem}_{number}" for number in itertools.count(1))
        name = next(name for name in names if name not in sys.modules)
        inside = [str(self.package)] if self.package else None
        spec = importlib.util.spec_from_file_location(
            name, self.file, submodule_search_locations=inside
        )
        if spec is None or spec.loader is None:
            raise PluginError("Python cannot import a file of this kind")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            for other in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
                del sys.modules[other]
            raise
        return module


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, PluginError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _line(error: BaseException, file: Path | None) -> int:
    """Return the line of ``file`` that raised, or 1."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == str(file)), 1)
