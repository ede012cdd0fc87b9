"""The options of core and plugins, spelled out for editors (JSON Schema) and for people (tables)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from sttgate.config.model import (
    SHIPPED,
    AccessConfig,
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
from sttgate.plugins import Offer, Plugins
from sttgate.provider import ProviderSpec
from sttgate.stores import StoreSpec

Schema = dict[str, Any]

_REFERENCE: Schema = {"type": "string", "pattern": r"\$\{"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One row of a table of options, in words; ``variable`` is its ``FromEnv``."""

    name: str
    type: str
    default: str
    required: bool
    variable: str | None
    text: str


def describe(model: type[BaseModel]) -> list[Option]:
    """Describe the options of ``model``, in its order."""
    schema = _schema_of(model)
    rows = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        option: Schema = schema.get("properties", {}).get(key, {})
        rows.append(
            Option(
                name=key,
                type=_in_words(option, schema.get("$defs", {})),
                default=_default(option),
                required=field.is_required() and variable_of(field) is None,
                variable=variable_of(field),
                text=" ".join((field.description or "").split()),
            )
        )
    return rows


def json_schema(plugins: Plugins) -> Schema:
    """Return a JSON Schema (2020-12) of config.yaml with the options of every plugin there is."""
    definitions: Schema = {}
    providers = _choice("provider", plugins.providers, definitions)
    transcripts = _choice("transcripts", plugins.transcript_stores, definitions)
    recordings = _choice("recordings", plugins.recording_stores, definitions)
    named = {name: _with_default(providers, name) for name in plugins.providers}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sttgate configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "server": _section(ServerConfig, definitions),
            "providers": {
                "description": "Configured engines by name; `use` names the plugin's provider.",
                "type": ["object", "null"],
                "properties": named,
                "additionalProperties": {"required": ["use"], **providers},
            },
            "chain": {
                "description": "The providers of a session that asks for none, in order.",
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "uniqueItems": True,
                "default": list(SHIPPED["chain"]),
            },
            "transcripts": _with_default(transcripts, SHIPPED["transcripts"]["use"]),
            "recordings": _with_default(recordings, SHIPPED["recordings"]["use"]),
            "spool": _section(SpoolConfig, definitions),
            "access": _section(AccessConfig, definitions),
            "limits": _section(LimitsConfig, definitions),
            "uploads": _section(UploadsConfig, definitions),
            "retention": _section(RetentionConfig, definitions),
            "log": _section(LogConfig, definitions),
            "metrics": _section(MetricsConfig, definitions),
            "traces": _section(TracesConfig, definitions),
            "plugins": _section(PluginsConfig, definitions),
        },
        "$defs": definitions,
    }


def _section(model: type[BaseModel], definitions: Schema) -> Schema:
    schema = _with_references(_schema_of(model))
    definitions.update(schema.pop("$defs", {}))
    return {**schema, "type": ["object", "null"]}


def _choice(
    kind: str,
    offers: Mapping[str, Offer[ProviderSpec]] | Mapping[str, Offer[StoreSpec]],
    definitions: Schema,
) -> Schema:
    """Return a schema in which ``use`` selects the options, which are put into ``definitions``."""
    for name, offer in offers.items():
        prefix = f"{kind}.{name}"
        schema = _with_references(_schema_of(offer.spec.options, f"#/$defs/{prefix}.{{model}}"))
        for inner, definition in schema.pop("$defs", {}).items():
            definitions[f"{prefix}.{inner}"] = definition
        schema["properties"] = {
            "use": {"const": name, "description": offer.spec.summary},
            **schema.get("properties", {}),
        }
        optional = {
            field.alias or key
            for key, field in offer.spec.options.model_fields.items()
            if variable_of(field)
        }
        schema["required"] = [key for key in schema.get("required", []) if key not in optional]
        definitions[prefix] = schema
    return {
        "type": "object",
        "properties": {"use": {"enum": list(offers)}},
        "allOf": [
            {
                "if": {"properties": {"use": {"const": name}}, "required": ["use"]},
                "then": {"$ref": f"#/$defs/{kind}.{name}"},
            }
            for name in offers
        ],
    }


def _with_default(choice: Schema, name: str) -> Schema:
    """Make ``use`` optional: without it, the options are those of ``name``."""
    own = [each for each in choice["allOf"] if each["then"]["$ref"].endswith(f".{name}")]
    without_use = [{"if": {"not": {"required": ["use"]}}, "then": each["then"]} for each in own]
    return {
        **choice,
        "type": ["object", "null"],
        "allOf": [{"if": {"type": "object"}, "then": {"allOf": [*choice["allOf"], *without_use]}}],
    }


def _schema_of(model: type[BaseModel], reference: str = "#/$defs/{model}") -> Schema:
    try:
        return model.model_json_schema(ref_template=reference)
    except (PydanticInvalidForJsonSchema, PydanticUserError):
        return {"type": "object"}  # an option has a type that JSON Schema cannot tell


def _with_references(schema: Schema) -> Schema:
    """Let every number and truth value also be text with a ``${…}`` in it."""
    options = schema.get("properties", {}).items()
    return {**schema, "properties": {name: _or_reference(option) for name, option in options}}


def _or_reference(option: Schema) -> Schema:
    if "anyOf" in option:
        return {**option, "anyOf": [*option["anyOf"], _REFERENCE]}
    if option.get("type") not in {"integer", "number", "boolean"} and "enum" not in option:
        return option
    about: Schema = {
        key: option[key] for key in ("title", "description", "default") if key in option
    }
    rest = {key: value for key, value in option.items() if key not in about}
    return {**about, "anyOf": [rest, _REFERENCE]}


def _in_words(option: Schema, definitions: Schema) -> str:
    if "$ref" in option:
        option = definitions.get(option["$ref"].rpartition("/")[2], {})
    members = option.get("anyOf") or option.get("oneOf")
    if members:
        return " | ".join(dict.fromkeys(_in_words(member, definitions) for member in members))
    if "enum" in option:
        return " | ".join(map(_value, option["enum"]))
    if "const" in option:
        return _value(option["const"])
    kind = option.get("type", "value")
    if kind == "string":
        return {"password": "secret", "path": "path"}.get(option.get("format", ""), "text")
    if kind == "array":
        return f"list of {_in_words(option['items'], definitions)}" if "items" in option else "list"
    words = {"integer": "whole number", "boolean": "true | false", "object": "block"}
    return f"{words.get(kind, kind)}{_limits(option)}"


def _limits(option: Schema) -> str:
    if "minimum" in option and "maximum" in option:
        return f" {option['minimum']} to {option['maximum']}"
    signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    return " and".join(
        f" {sign} {option[bound]}" for bound, sign in signs.items() if bound in option
    )


def _default(option: Schema) -> str:
    if "default" not in option or option.get("format") == "password":
        return ""
    return _value(option["default"])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
