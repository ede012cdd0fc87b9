"""Each module by itself: it imports in a fresh interpreter, and keeps no state of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

from tests.packaging.checkout import (
    CHECKOUT,
    CORE,
    PLUGINS,
    Module,
    modules,
    plugin_modules,
    pyproject,
)

IMPORT_EACH = """
import importlib, sys, warnings
for name in sys.argv[1:]:
    for other in [key for key in sys.modules if key.startswith("sttgate")]:
        del sys.modules[other]
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        optional = "." in name and not name.startswith("sttgate.")  # inside a plugin: its SDK
        if error.name.startswith("sttgate") or not optional:
            print(f"{name}: {error}")
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")
"""
"""Only the modules of sttgate are forgotten in between: those of others cost seconds to import."""

CONTAINERS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
FACTORIES = {"list", "dict", "set", "deque", "defaultdict", "Counter", "OrderedDict"}
MUTATORS = {
    *("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"),
    *("add", "discard", "update", "setdefault", "popitem", "appendleft", "popleft"),
}


def test_plugins_are_declared() -> None:
    """What lies in ``plugins`` is what the entry points name and what the wheel is told to hold."""
    content = pyproject()
    assert plugin_modules() == set(content["project"]["entry-points"]["sttgate"].values())
    files = {path.stem for path in PLUGINS.glob("*.py")}
    assert files == set(content["tool"]["setuptools"]["py-modules"])


def test_each_imports_first() -> None:
    """Every module can be the first one imported: no circle, nothing missing."""
    names = [module.name for module in [*modules(CORE), *modules(PLUGINS)]]
    names.remove("sttgate.__main__")  # importing it runs the command
    half = len(names) // 2
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", IMPORT_EACH, *part],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": f"{CHECKOUT}:{PLUGINS}"},
        )
        for part in (names[:half], names[half:])
    ]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert said == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]


def test_no_state() -> None:
    """Containers at the top of a module are constants: named like one, and changed by nobody."""
    wrong = []
    for module in [*modules(CORE), *modules(PLUGINS)]:
        constants = set()
        for name, line in _containers(module.tree.body):
            if name != "__all__" and name.lstrip("_").upper() != name.lstrip("_"):
                wrong.append(f"{module.place(line)}: {name} is not named like a constant")
            constants.add(name)
        wrong += [f"{module.place(line)}: {what}" for what, line in _changes(module, constants)]
    assert wrong == []


def _containers(body: list[ast.stmt]) -> Iterator[tuple[str, int]]:
    """Yield the names at the top of a module that are bound to something that can change."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from _containers(node.body)
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        value = getattr(node, "value", None)
        made = isinstance(value, ast.Call) and getattr(value.func, "id", "") in FACTORIES
        for target in targets:
            if isinstance(target, ast.Name) and (made or isinstance(value, CONTAINERS)):
                yield target.id, node.lineno


def _changes(module: Module, constants: set[str]) -> Iterator[tuple[str, int]]:
    """Yield what in a module changes one of its constants, or rebinds a name of the module."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            yield "a global statement", node.lineno
        elif isinstance(node, ast.Subscript | ast.Attribute):
            stored = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del)
            called = isinstance(node, ast.Attribute) and node.attr in MUTATORS
            name = getattr(node.value, "id", None)
            if name in constants and (stored or called):
                yield f"{name} is changed", node.lineno


def test_the_check_for_state_sees_it() -> None:
    """The check itself finds what it is for."""
    source = (
        "cache = {}\n_NAMES = []\ndef f():\n    global x\n    _NAMES.append(1)\n    _NAMES[0] = 2\n"
    )
    module = Module("sample", CHECKOUT / "sample.py")
    module.__dict__["tree"] = ast.parse(source)
    assert [name for name, _ in _containers(module.tree.body)] == ["cache", "_NAMES"]
    assert sorted(line for _, line in _changes(module, {"cache", "_NAMES"})) == [4, 5, 6]
