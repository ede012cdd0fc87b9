"""Which metrics and labels a PromQL expression uses: enough of its grammar for our own expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r'(?P<text>"(?:\\.|[^"\\])*")|(?P<range>\[[^\]]*\])|(?P<name>[A-Za-z_:$][\w:$]*)'
    r"|(?P<number>\d+(?:\.\d+)?[smhd]?)|(?P<op>=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>])|(?P<space>\s+)"
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {"and", "or", "unless", "bool", "offset", "atan2"}


@dataclass
class Uses:
    """What an expression uses; ``matchers`` are (metric, label, operator, value)."""

    metrics: set[str] = field(default_factory=set)
    grouping: set[str] = field(default_factory=set)
    matchers: set[tuple[str, str, str, str]] = field(default_factory=set)


def uses(expression: str) -> Uses:
    """Take an expression apart; ValueError for what this grammar does not know."""
    found = Uses()
    tokens = [*_tokens(expression)]
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        at += 1
        if kind != "name" or text in _WORDS:
            continue
        following = tokens[at][1] if at < len(tokens) else ""
        if text in _GROUPING:
            end = tokens.index(("op", ")"), at)
            found.grouping |= {word for kind, word in tokens[at:end] if kind == "name"}
            at = end
        elif following != "(" and following not in _GROUPING:  # else it is a function
            found.metrics.add(text)
            if following == "{":
                end = tokens.index(("op", "}"), at)
                found.matchers |= {(text, *matcher) for matcher in _matchers(tokens[at + 1 : end])}
                at = end
    return found


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"what is {expression[at : at + 10]!r} in {expression!r}?")
        at = match.end()
        assert match.lastgroup is not None
        if match.lastgroup != "space":
            yield match.lastgroup, match[0]


def _matchers(tokens: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    texts = [text for _, text in tokens if text != ","]
    if len(texts) % 3:
        raise ValueError(f"these are no matchers: {texts}")
    for label, operator, value in zip(texts[::3], texts[1::3], texts[2::3], strict=True):
        yield label, operator, value.strip('"')
