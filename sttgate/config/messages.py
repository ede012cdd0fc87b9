"""pydantic's errors in the words of somebody who edits a configuration."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sttgate.config.document import Document, Key

_WORDS: Mapping[str, str] = {
    "bool": "must be true or false",
    "int": "must be a whole number",
    "float": "must be a number",
    "decimal": "must be a number",
    "string": "must be text",
    "path": "must be a path",
    "list": "must be a list, such as [a, b]",
    "tuple": "must be a list, such as [a, b]",
    "set": "must be a list, such as [a, b]",
    "frozen_set": "must be a list, such as [a, b]",
    "dict": "must be a block of keys",
    "model": "must be a block of keys",
    "model_attributes": "must be a block of keys",
    "url": "must be an address, such as https://example.org",
    "none": "must be null",
}
"""By the first words of an error's type: ``int_type``, ``int_parsing``, ``int_from_float``, …"""

_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda ctx: f"must be > {ctx['gt']}",
    "greater_than_equal": lambda ctx: f"must be >= {ctx['ge']}",
    "less_than": lambda ctx: f"must be < {ctx['lt']}",
    "less_than_equal": lambda ctx: f"must be <= {ctx['le']}",
    "multiple_of": lambda ctx: f"must be a multiple of {ctx['multiple_of']}",
    "finite_number": lambda ctx: "must be a finite number",
    "string_too_short": lambda ctx: _at_least(ctx["min_length"], "character"),
    "string_too_long": lambda ctx: _at_most(ctx["max_length"], "character"),
    "string_pattern_mismatch": lambda ctx: _PATTERNS.get(
        ctx["pattern"], f"must match the pattern {ctx['pattern']}"
    ),
    "string_unicode": lambda ctx: "must be text",
    "too_short": lambda ctx: _at_least(ctx["min_length"], "item"),
    "too_long": lambda ctx: _at_most(ctx["max_length"], "item"),
}

_PATTERNS: Mapping[str, str] = {"^https?://": "must begin with http:// or https://"}


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` if one of ``known`` is close to ``word``, else nothing."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def explain(document: Document, block: Key, error: ValidationError, model: type[BaseModel]) -> None:
    """Note every error of validating the block at ``block`` against ``model``, each where it stands."""
    data = _look_up(document.data, block)
    found: dict[Key, dict[str, bool]] = {}
    for detail in error.errors(include_url=False):
        kind, (key, value) = detail["type"], _follow(data, detail["loc"])
        last = detail["loc"][-1] if detail["loc"] else ""
        if kind == "missing":
            document.complain((*block, *key, str(last)), "required key is missing")
        elif kind == "extra_forbidden":
            hint = suggest(str(last), _fields(model, key[:-1]))
            document.complain((*block, *key), f"unknown key{hint}", at_key=True)
        else:
            # a union gives one error for each of its types; where the type fits, the bound is to blame
            found.setdefault(key, {})[_message(detail, value)] = kind in _BOUNDS
    for key, messages in found.items():
        bounds = [message for message, is_bound in messages.items() if is_bound]
        first, *others = bounds or messages
        either = "".join(f" or {other.removeprefix('must be ')}" for other in others)
        document.complain((*block, *key), f"{first}{either}")


def _message(detail: ErrorDetails, value: Any) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if value is None and kind != "value_error":
        return "has no value: write one, or remove the line"
    if kind in _BOUNDS:
        return _BOUNDS[kind](context)
    if kind in {"literal_error", "enum"}:
        words = {"False": "false", "True": "true", "None": "null"}
        return (
            f"must be {re.sub('|'.join(words), lambda word: words[word[0]], context['expected'])}"
        )
    if kind == "string_type" and isinstance(value, int | float):
        return "must be text: put it in quotes"
    for length in (2, 1):
        sentence = _WORDS.get("_".join(kind.split("_")[:length]))
        if sentence:
            return sentence
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    text = " ".join(text.split()).replace("Input should be", "must be", 1)
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _at_least(count: int, thing: str) -> str:
    if count == 1:
        return "must not be empty"
    return f"must have at least {count} {thing}s"


def _at_most(count: int, thing: str) -> str:
    return f"must have at most {count} {thing}{'' if count == 1 else 's'}"


def _look_up(data: Any, key: Key) -> Any:
    for part in key:
        data = data[part]
    return data


def _follow(data: Any, location: tuple[int | str, ...]) -> tuple[Key, Any]:
    """Follow a pydantic location into ``data``, over the names of union members, which are no keys."""
    key: list[int | str] = []
    for part in location:
        inside_block = isinstance(data, dict) and part in data
        inside_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if inside_block or inside_list:
            key.append(part)
            data = data[part]
    return tuple(key), data


def _fields(model: type[BaseModel], key: Key) -> list[str]:
    """List the option names that are known in the block at ``key`` inside ``model``."""
    models = [model]
    for part in key:
        if isinstance(part, str):
            options = [one for each in models for name, one in each.model_fields.items()
                       if part in (name, one.alias)]  # fmt: skip
            models = [inner for option in options for inner in _models(option.annotation)]
    return [one.alias or name for each in models for name, one in each.model_fields.items()]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]
