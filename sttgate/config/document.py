"""A configuration as plain data that remembers where every key and value was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sttgate.errors import Problem

Key = tuple[str | int, ...]
"""The way to a value: names of blocks, positions in lists."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written; line 0 when ``file`` is a variable or an option, not a file."""

    file: str
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Document:
    """Plain data from ``file``, the places of its keys and values, and what is wrong with it."""

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    values: dict[Key, Place] = field(default_factory=dict)
    keys: dict[Key, Place] = field(default_factory=dict)
    _blamed: set[Key] = field(default_factory=set)

    def place(self, key: Key, *, of_key: bool = False) -> Place:
        """Return where ``key`` was written, or the name of the block it is missing from."""
        if of_key and key in self.keys:
            return self.keys[key]
        if key in self.values:
            return self.values[key]
        for length in range(len(key) - 1, 0, -1):
            around = self.keys.get(key[:length]) or self.values.get(key[:length])
            if around:
                return around
        return self.values.get((), Place(self.file))

    def complain(
        self, key: Key, message: str, *, at_key: bool = False, warning: bool = False
    ) -> None:
        """Note a mistake in the value at ``key`` (the first one counts), or in the key itself."""
        if not at_key and not warning:
            if key in self._blamed:
                return
            self._blamed.add(key)
        self.report(self.place(key, of_key=at_key), dotted(key), message, warning=warning)

    def blamed(self, key: Key) -> bool:
        """Tell whether the value at ``key`` is known to be wrong."""
        return key in self._blamed

    def report(self, place: Place, key: str, message: str, *, warning: bool = False) -> None:
        """Note a mistake at a place of its own."""
        self.problems.append(
            Problem(place.file, place.line, place.column, key, message, warning=warning)
        )

    def put(self, key: tuple[str, ...], value: Any, place: Place) -> bool:
        """Set a value that comes from elsewhere; False if something around it is not a block."""
        block = self.data
        for depth, name in enumerate(key[:-1], 1):
            if block.get(name) is None:
                block[name] = {}
                self.values.setdefault(key[:depth], place)
            inner = block[name]
            if not isinstance(inner, dict):
                return False
            block = inner
        block[key[-1]] = value
        for places in (self.values, self.keys):
            for old in [old for old in places if old[: len(key)] == key]:
                del places[old]
        self.values[key] = place
        return True


def dotted(key: Key) -> str:
    """Write a key as people do: ``providers.deepgram.keyterms[0]``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return "".join(parts).removeprefix(".")
