"""What editors and people are told about the options."""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from sttgate import FromEnv, Options
from sttgate.config.schema import describe, json_schema
from sttgate.plugins import Plugins
from tests.config.support import ACME, install, write


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    depth: int = 1


class Many(Options):
    key: Annotated[SecretStr, FromEnv("MANY_KEY")]
    """Key of the
    account."""
    needed: str
    count: int = Field(2, ge=1, le=5)
    ratio: float = Field(0.5, gt=0)
    mode: Literal["a", "b"] = "a"
    pause: Literal[False] | Annotated[int, Field(ge=10)] | None = 300
    flag: bool = True
    words: tuple[str, ...] = ()
    folder: Path | None = None
    colour: Colour = Colour.RED
    inner: Inner = Inner()
    renamed: int = Field(1, alias="other")


def test_table() -> None:
    """Each option is a row with its type, default, variable and text in words."""
    rows = {row.name: row for row in describe(Many)}
    assert {name: (row.type, row.default) for name, row in rows.items()} == {
        "key": ("secret", ""),
        "needed": ("text", ""),
        "count": ("whole number 1 to 5", "2"),
        "ratio": ("number > 0", "0.5"),
        "mode": ("a | b", "a"),
        "pause": ("false | whole number >= 10 | null", "300"),
        "flag": ("true | false", "true"),
        "words": ("list of text", "[]"),
        "folder": ("path | null", "null"),
        "colour": ("red | blue", "red"),
        "inner": ("block", '{"depth": 1}'),
        "other": ("whole number", "1"),
    }
    assert (rows["key"].variable, rows["key"].text) == ("MANY_KEY", "Key of the account.")
    assert [name for name, row in rows.items() if row.required] == ["needed"]


def test_type_without_a_schema() -> None:
    """An option that JSON Schema cannot tell does not keep the others from being listed."""

    class Odd(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        call: Callable[[], None]
        count: int = 1

    assert [row.name for row in describe(Odd)] == ["call", "count"]


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    install(monkeypatch, tmp_path / "nothing", {})
    return json_schema(Plugins.load([write(tmp_path / "drop", {"lab.py": ACME})]).require())


def test_sections(schema: dict[str, Any]) -> None:
    """The schema has every section, refuses others, and shows core options with text and bounds."""
    sections = schema["properties"]
    assert schema["additionalProperties"] is False
    assert list(sections) == [
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
    ]
    port = sections["server"]["properties"]["port"]
    assert port["default"] == 8000
    assert port["description"].startswith("The port")
    assert {"type": "integer", "minimum": 0, "maximum": 65535} in port["anyOf"]


def test_options_by_use(schema: dict[str, Any]) -> None:
    """`use` chooses the options, which come from the plugin; by default the block's name does."""
    definitions, providers = schema["$defs"], schema["properties"]["providers"]
    options = definitions["provider.acme"]
    assert options["properties"]["use"] == {"const": "acme", "description": "Acme Speech"}
    assert options["additionalProperties"] is False
    assert {"type": "string", "pattern": r"\$\{"} in options["properties"]["pause_ms"]["anyOf"]
    assert "acme" in providers["properties"]
    assert providers["additionalProperties"]["required"] == ["use"]
    assert definitions["recordings.blobs"]["required"] == ["bucket"]


def test_references_resolve(schema: dict[str, Any]) -> None:
    """Every $ref leads to a definition."""

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for inner in value.values() for ref in references(inner)]
        return (
            [ref for inner in value for ref in references(inner)] if isinstance(value, list) else []
        )

    assert references(schema)
    assert {ref.removeprefix("#/$defs/") for ref in references(schema)} <= set(schema["$defs"])
