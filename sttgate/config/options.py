"""The options a plugin declares: filled from the environment, and their paths made absolute."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sttgate.config.document import Document, Place
from sttgate.provider import FromEnv

ModelT = TypeVar("ModelT", bound=BaseModel)


def variable_of(field: FieldInfo) -> str | None:
    """Return the environment variable an option falls back to."""
    return next((mark.variable for mark in field.metadata if isinstance(mark, FromEnv)), None)


def from_environment(
    model: type[BaseModel], environment: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Return variable and value for the keys of options that are ``FromEnv``; an empty one is not set."""
    found = {}
    for name, field in model.model_fields.items():
        variable = variable_of(field)
        if variable and environment.get(variable):
            found[field.alias or name] = (variable, environment[variable])
    return found


def fill(
    document: Document,
    block: tuple[str, ...],
    model: type[BaseModel],
    environment: Mapping[str, str],
) -> None:
    """Put the ``FromEnv`` options that ``block`` leaves out into the document."""
    given: Any = document.data
    for name in block:
        given = given[name]
    for key, (variable, value) in from_environment(model, environment).items():
        if key not in given:
            document.put((*block, key), value, Place(variable))


def anchored(options: ModelT, base: Path) -> ModelT:
    """Return the options with every relative ``Path`` in them starting from ``base``, and ``~`` replaced."""
    changed = {}
    for name, value in options:
        absolute = _anchored(value, base)
        if absolute is not value:
            changed[name] = absolute
    return options.model_copy(update=changed) if changed else options


def _anchored(value: Any, base: Path) -> Any:
    if isinstance(value, Path):
        absolute = base / os.path.expanduser(value)
        return value if absolute == value else absolute
    if isinstance(value, BaseModel):
        return anchored(value, base)
    if isinstance(value, dict):
        inner = {key: _anchored(each, base) for key, each in value.items()}
        return inner if any(inner[key] is not value[key] for key in value) else value
    if type(value) in (list, tuple, set, frozenset):
        items = [_anchored(each, base) for each in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    return value
