"""Nothing public is missing from the pages that promise to be complete."""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import get_args

import msgspec
import pytest
from msgspec import UNSET

import sttgate
from sttgate import testing
from sttgate.config.load import SECTIONS
from sttgate.config.schema import describe
from sttgate.errors import ErrorCode
from sttgate.protocols.native.connection import NativeConnection
from sttgate.protocols.native.requests import Start
from sttgate.session import entries
from tests.docs import render
from tests.docs.pages import ROOT, anchors, read, section, table

PLUGINS = read("docs/plugins.md")
PROTOCOL = read("docs/protocol.md")
SOURCES = {path: path.read_text("utf-8") for path in (ROOT / "sttgate").rglob("*.py")}
CONNECTION_EVENTS = ("hello", "resumed", "ack", "pong", "goaway")


@pytest.mark.parametrize("name", render.hooks())
def test_hook_is_documented(name: str) -> None:
    """The reference has the signature of every hook."""
    assert f"#### `{name}`" in section(PLUGINS, "Hooks")


@pytest.mark.parametrize("name", sttgate.__all__)
def test_public_name_is_documented(name: str) -> None:
    """The reference names everything a plugin author can import."""
    assert f"`{name}`" in section(PLUGINS, "Reference") or f"@{name}" in PLUGINS


@pytest.mark.parametrize("name", testing.__all__)
def test_testing_tool_is_documented(name: str) -> None:
    """Everything in sttgate.testing is described."""
    assert f"#### `{name}`" in section(PLUGINS, "Testing")


def test_every_option_is_documented() -> None:
    """Each option of each shipped plugin has a row, and each row says something."""
    for kind, spec in render.specs():
        rows = {row[0]: row for row in table(section(PLUGINS, spec.name))}
        for option in describe(spec.options):
            assert rows[f"`{option.name}`"][3], f"{kind} {spec.name}: {option.name} has no text"


@pytest.mark.parametrize("name", SECTIONS)
def test_section_of_the_configuration_is_documented(name: str) -> None:
    """Every key at the top of config.yaml has a heading, and every key below it a row."""
    text = section(read("docs/configuration.md"), name)
    if name in render.SECTIONS:
        rows = {row[0]: row for row in table(text)}
        for option in describe(render.SECTIONS[name]):
            assert rows[f"`{option.name}`"][3], f"{name}.{option.name} has no text"


def _entry_types() -> list[type[msgspec.Struct]]:
    return list(get_args(entries.AnyEntry))


@pytest.mark.parametrize("entry", _entry_types(), ids=lambda entry: entry.__name__)
def test_event_of_a_session_is_documented(entry: type[msgspec.Struct]) -> None:
    """Every event has a heading with every one of its fields below it."""
    text = section(PROTOCOL, str(entry.__struct_config__.tag))
    for field in set(entry.__struct_fields__) - {"seq"}:
        assert f"`{field}`" in text, f"{field} of {entry.__struct_config__.tag} is not described"


def test_every_kind_of_event_is_documented() -> None:
    """What the gateway sends, and what it understands, is in the tables; nothing else is."""
    tags = {str(entry.__struct_config__.tag) for entry in _entry_types()}
    described = set(re.findall(r"^#### (\w+)$", PROTOCOL, re.MULTILINE))
    assert described == tags | set(CONNECTION_EVENTS)
    sent = "".join(SOURCES[path] for path in SOURCES if "native" in path.parts)
    replies = set(re.findall(r'self\._reply\(\s*"(\w+)"', sent))
    assert replies - {"error"} == set(CONNECTION_EVENTS)
    understood = {"start", "stop", "ping", "keepalive", *NativeConnection._actions}
    told = set(re.findall(r'"event":"(\w+)"', section(PROTOCOL, "Client events")))
    assert told == understood - {"start"}


def test_every_field_of_start_is_documented() -> None:
    """The table of start has the fields the gateway knows, with their defaults."""
    rows = {row[0].strip("`"): row for row in table(section(PROTOCOL, "start"))}
    assert set(rows) - {"anything else"} == set(Start.__struct_fields__) - {"event"}
    for field in msgspec.structs.fields(Start):
        if field.name == "event":
            continue
        default = field.default
        if default is msgspec.NODEFAULT:
            default = field.default_factory()
        expected = "none" if default is None else f"`{json.dumps(msgspec.to_builtins(default))}`"
        assert rows[field.name][2] == expected, f"default of {field.name}"


def test_every_error_code_is_documented() -> None:
    """The table has exactly the codes there are, and says which of them are in use."""
    rows = {row[0].strip("`"): row for row in table(section(PROTOCOL, "Errors"))}
    assert set(rows) == {code.value for code in ErrorCode}
    definition = ROOT / "sttgate" / "errors.py"
    statuses = ROOT / "sttgate" / "api" / "problems.py"  # has every code, sent or not
    uses = "\n".join(t for path, t in SOURCES.items() if path not in (definition, statuses))
    uses += SOURCES[definition].split("class SttgateError")[1]
    for code in ErrorCode:
        used = f"ErrorCode.{code.name}" in uses
        assert rows[code.value][2] == ("yes" if used else "no"), f"use of {code.value}"


def test_every_warning_code_is_documented() -> None:
    """The table of warnings has the codes that are sent."""
    sent = re.compile(r'(?:warn\(\s*|Warning\(\s*code=)"(\w+)"')
    found = {code for text in SOURCES.values() for code in sent.findall(text)}
    rows = {row[0].strip("`") for row in table(section(PROTOCOL, "Warnings"))}
    assert rows == found


def test_every_reason_is_documented() -> None:
    """Why an utterance ended, why a session stopped, how a provider stands: all are named."""
    reasons = section(PROTOCOL, "utterance_end")
    for reason in get_args(entries.UtteranceEndReason):
        assert f"`{reason}`" in reasons
    used = "".join(SOURCES.values())
    for reason in get_args(entries.StopReason):
        sent = re.search(rf'(?:stop|shut_down|drain)\("{reason}"', used)
        assert (f"`{reason}`" in section(PROTOCOL, "stopped")) == bool(sent), reason
    for state in get_args(entries.ProviderState):
        sent = re.search(
            rf'"{state}"', "".join(t for p, t in SOURCES.items() if p.name == "session.py")
        )
        assert (f"`{state}`" in section(PROTOCOL, "provider")) == bool(sent), state


def test_optional_fields_are_said_to_be_optional() -> None:
    """The fields an event may lack are described as such, in a sentence of their own."""
    optional = [
        (entry.__struct_config__.tag, field.name)
        for entry in _entry_types()
        for field in msgspec.structs.fields(entry)
        if field.default is UNSET
    ]
    assert {tag for tag, _ in optional} == {"started", "transcript", "finalized", "error"}


def test_headings_of_a_page_are_in_its_list() -> None:
    """The list at the top of a page leads to every part of it."""
    for page in (
        "docs/plugins.md",
        "docs/configuration.md",
        "docs/clients.md",
        "docs/operations.md",
    ):
        text = read(page)
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        listed = set(re.findall(r"^- \[.*?\]\(#(.+?)\)", text, re.MULTILINE))
        assert listed == set(chain.from_iterable(anchors(f"## {part}") for part in parts)), page
