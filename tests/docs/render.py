"""The parts of the documentation that are printed from the code.

They stand between ``<!-- render: WHAT -->`` and ``<!-- end -->``. To bring them up to date::

    python -m tests.docs.render
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner
from pydantic import BaseModel

import sttgate
from benchmarks import report
from sttgate import testing
from sttgate.access.gate import Gate
from sttgate.api.operations import operations_of
from sttgate.cli import root
from sttgate.config import load_config
from sttgate.config.model import (
    AccessConfig,
    JwtConfig,
    LimitsConfig,
    LogConfig,
    MetricsConfig,
    PluginsConfig,
    RetentionConfig,
    ServerConfig,
    SpoolConfig,
    TracesConfig,
    UploadsConfig,
)
from sttgate.config.options import variable_of
from sttgate.config.schema import describe
from sttgate.errors import NotConfigured, ProviderError
from sttgate.gateway import Gateway
from sttgate.hookspecs import PROJECT
from sttgate.operations.metrics import GatewayCollector
from sttgate.plugins import Plugins
from sttgate.provider import Capabilities, ProviderSpec
from sttgate.stores import StoreSpec
from tests.docs.pages import PAGES, ROOT

HOW = "python -m tests.docs.render"
SECTIONS: Mapping[str, type[BaseModel]] = {
    "server": ServerConfig,
    "spool": SpoolConfig,
    "access": AccessConfig,
    "access.jwt": JwtConfig,
    "limits": LimitsConfig,
    "uploads": UploadsConfig,
    "retention": RetentionConfig,
    "log": LogConfig,
    "metrics": MetricsConfig,
    "traces": TracesConfig,
    "plugins": PluginsConfig,
}

_PART = re.compile(
    r"(?P<head><!-- render: (?P<what>[^\n]+?) -->\n)(?P<body>.*?)(?P<tail><!-- end -->)", re.DOTALL
)


def render(text: str) -> str:
    """Return a page with every printed part as the code has it now."""

    def one(match: re.Match[str]) -> str:
        kind, _, rest = match["what"].partition(" ")
        return f"{match['head']}{_KINDS[kind](rest).strip()}\n{match['tail']}"

    return _PART.sub(one, text)


def parts(text: str) -> list[tuple[str, str]]:
    """Return what each printed part of a page shows, and its text."""
    return [(match["what"], match["body"]) for match in _PART.finditer(text)]


def specs() -> Iterator[tuple[str, ProviderSpec | StoreSpec]]:
    """Yield kind and spec of everything the shipped plugins offer, by plugin."""
    plugins = Plugins.load().require()
    for kind, offers in (
        ("provider", plugins.providers),
        ("transcripts", plugins.transcript_stores),
        ("recordings", plugins.recording_stores),
    ):
        for offer in offers.values():
            if offer.plugin.origin == "built-in":
                yield kind, offer.spec


def hooks() -> dict[str, Callable[..., Any]]:
    """Return the hook specifications by name."""
    from sttgate import hookspecs

    return {name: spec for name, spec in vars(hookspecs).items() if name.startswith(f"{PROJECT}_")}


# --- the kinds of parts ---------------------------------------------------------------------------


def _file(path: str) -> str:
    language = {".py": "python", ".html": "html", ".js": "js", ".yaml": "yaml"}[Path(path).suffix]
    return f"```{language}\n{(ROOT / path).read_text('utf-8')}```"


def _help(command: str) -> str:
    arguments = command.split()
    result = CliRunner().invoke(
        root, [*arguments, "--help"], prog_name="sttgate", terminal_width=80
    )
    assert result.exit_code == 0, result.output
    return f"```text\n$ sttgate {command}{' ' if command else ''}--help\n{result.output}```"


def _commands(group: str) -> str:
    command = root.get_command(click.Context(root), group)
    assert isinstance(command, click.Group)
    names = ["", *sorted(command.commands)]
    return "\n\n".join(_help(f"{group} {name}".strip()) for name in names)


def _options(what: str) -> str:
    kind, name = what.split()
    spec = next(spec for kind_, spec in specs() if (kind_, spec.name) == (kind, name))
    return _table_of_options(spec.options)


def _section(name: str) -> str:
    return _table_of_options(SECTIONS[name])


def _table_of_options(model: type[BaseModel]) -> str:
    rows = []
    for option in describe(model):
        default = "required" if option.required else _code(option.default)
        if option.variable:
            default = f"`${option.variable}`"
        rows.append((f"`{option.name}`", option.type, default, _markdown(option.text)))
    return _table(("option", "type", "default", "meaning"), rows)


def _capabilities(_: str) -> str:
    known = {}
    for kind, spec in specs():
        if kind == "provider":
            keys = {k: "x" for k, field in spec.options.model_fields.items() if variable_of(field)}
            try:
                known[spec.name] = spec.factory(spec.options(**keys)).capabilities
            except NotConfigured:  # its packages are not installed here
                known[spec.name] = spec.factory.capabilities
    rows = [
        (f"`{field.name}`", *(_shown(getattr(each, field.name)) for each in known.values()))
        for field in dataclasses.fields(Capabilities)
    ]
    return _table(("capability", *(f"`{name}`" for name in known)), rows)


def _hook(name: str) -> str:
    return _reference(name, hooks()[name])


def _type(names: str) -> str:
    return "\n\n".join(_class(getattr(sttgate, name)) for name in names.split())


def _testing(_: str) -> str:
    rendered = []
    for name in testing.__all__:
        value = getattr(testing, name)
        rendered.append(_class(value) if inspect.isclass(value) else _reference(name, value))
    return "\n\n".join(rendered)


def _kit(name: str) -> str:
    """List the tests of a class of the kit: what each is about, and what a failure usually means."""
    tests = {}
    for cls in reversed(getattr(testing, name).mro()):
        tests |= {key: value for key, value in vars(cls).items() if key.startswith("test_")}
    rows = []
    for key, test in tests.items():
        about, _, meaning = _doc(test).partition("\n\n")
        rows.append((f"`{key}`", _markdown(" ".join(about.split())), " ".join(meaning.split())))
    return _table(("test", "what it is about", "what a failure means"), rows)


def _metrics(_: str) -> str:
    config = load_config(None, environ={}, overrides={"chain": "[echo]"}, cwd=ROOT / "docs")
    families = GatewayCollector(Gateway.from_config(config)).collect()
    rows = [
        (
            f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
            family.type,
            family.documentation,
        )
        for family in families
    ]
    return _table(("metric", "type", "meaning"), rows)


def _operations(_: str) -> str:
    config = load_config(None, environ={}, overrides={"chain": "[echo]"}, cwd=ROOT / "docs")
    operations = operations_of(Gateway.from_config(config), Gate.for_everybody())
    rows = [
        (f"`{each.method} {each.path}`", each.scope or "", f"{each.summary}.")
        for each in operations
    ]
    return _table(("address", "scope", "what it does"), rows)


def _errors(_: str) -> str:
    rows = []
    for name in sttgate.__all__:
        error = getattr(sttgate, name)
        if (
            inspect.isclass(error)
            and issubclass(error, ProviderError)
            and error is not ProviderError
        ):
            retry = "yes" if error.retryable else "no"
            rows.append((f"`{name}`", f"`{error.code}`", retry, _markdown(_doc(error))))
    return _table(("error", "code", "tried again", "meaning"), rows)


def _benchmark(name: str) -> str:
    match name:
        case "targets":
            return report.targets()
        case "floor":
            return report.floor()
        case "machines":
            return report.machines()
    return report.table(name, report.load(name))


_KINDS: Mapping[str, Callable[[str], str]] = {
    "file": _file,
    "help": _help,
    "commands": _commands,
    "options": _options,
    "section": _section,
    "capabilities": _capabilities,
    "hook": _hook,
    "type": _type,
    "testing": _testing,
    "errors": _errors,
    "kit": _kit,
    "metrics": _metrics,
    "operations": _operations,
    "benchmark": _benchmark,
}


# --- how they are written -------------------------------------------------------------------------


def _class(cls: type) -> str:
    """Describe a class by its docstring, its fields, and its public methods as a stub."""
    pieces = [f"#### `{cls.__name__}`", _markdown(_doc(cls))]
    if dataclasses.is_dataclass(cls):
        rows = [
            (f"`{field.name}`", _code(str(field.type)), _default(field))
            for field in dataclasses.fields(cls)
        ]
        if rows:
            pieces.append(_table(("field", "type", "default"), rows))
    if issubclass(cls, Enum):
        pieces.append(
            _table(("member", "value"), [(f"`{one.name}`", f"`{one.value!r}`") for one in cls])
        )
    methods = [_stub(name, value) for name, value in vars(cls).items() if _is_public(name, value)]
    own_constructor = "__init__" in vars(cls) and not dataclasses.is_dataclass(cls)
    if own_constructor and (methods or issubclass(cls, Exception)):
        methods.insert(0, f"def {_signature('__init__', vars(cls)['__init__'])}: ...")
    if methods:
        body = textwrap.indent("\n\n".join(methods), "    ")
        pieces.append(f"```python\nclass {cls.__name__}:\n{body}\n```")
    return "\n\n".join(pieces)


def _is_public(name: str, value: object) -> bool:
    described = inspect.isfunction(value) or isinstance(value, property)
    return described and not name.startswith(("_", "test_")) and bool(_doc(value))


def _stub(name: str, value: Any) -> str:
    """Return a function or property as in a stub file, with its docstring."""
    keyword = "async def" if inspect.iscoroutinefunction(value) else "def"
    decorator = ""
    if isinstance(value, property):
        decorator, value = "@property\n", value.fget
    text = _doc(value)
    quoted = f'"""{text}"""' if "\n" not in text else f'"""{text}\n"""'
    body = textwrap.indent(quoted, "    ")
    return f"{decorator}{keyword} {_signature(name, value)}:\n{body}"


def _reference(name: str, function: Any) -> str:
    keyword = "async def" if inspect.iscoroutinefunction(function) else "def"
    head = f"```python\n{keyword} {_signature(name, function)}\n```"
    return f"#### `{name}`\n\n{head}\n\n{_markdown(_doc(function))}"


def _signature(name: str, function: Any) -> str:
    signature = inspect.signature(function)
    arguments = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in arguments:
            arguments.append("*")
        text = (
            f"*{parameter.name}" if parameter.kind is parameter.VAR_POSITIONAL else parameter.name
        )
        if parameter.annotation is not parameter.empty:
            text += f": {parameter.annotation}"
        if parameter.default is not parameter.empty:
            text += f" = {parameter.default!r}"
        arguments.append(text)
    return f"{name}({', '.join(arguments)}) -> {signature.return_annotation}"


def _doc(value: Any) -> str:
    return inspect.getdoc(value) or ""


def _markdown(text: str) -> str:
    """Turn a docstring into Markdown: ``literals`` and blocks after ``::``."""
    text = re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL)
    text = re.sub(r"^(`\w+`:)", r"- \1", text, flags=re.MULTILINE)
    return re.sub(
        r"::\n\n((?:    [^\n]*\n?|\n)+)",
        lambda match: f":\n\n```python\n{inspect.cleandoc(match[1])}\n```\n",
        text,
    ).strip()


def _default(field: dataclasses.Field[Any]) -> str:
    if inspect.isclass(field.default):
        return _code(field.default.__name__)
    if field.default is not dataclasses.MISSING:
        return _code(repr(field.default))
    if field.default_factory is not dataclasses.MISSING:
        return _code(repr(field.default_factory()))
    return "required"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "any" if value is None else str(value)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def main() -> None:
    """Write every printed part anew."""
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        if (after := render(before)) != before:
            page.write_text(after, encoding="utf-8")
            click.echo(f"updated {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
