"""What characters are on a line: which of them show, how wide they are, where a word may be cut."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_OPENING = {"Ps", "Pi"}
_FOLLOWING = {"Pe", "Pf", "Po", "Mn", "Me", "Mc", "Cf"}
_LONGEST_CLUSTER = 8  # columns; whoever writes forty exclamation marks gets them cut


def clean(text: str) -> str:
    """Return ``text`` as one line: white space is one space, control characters are gone."""
    return " ".join(_CONTROLS.sub("", text).split())


def width(text: str) -> int:
    """Return how many columns ``text`` takes: Chinese and the like two a character, accents none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def clusters(word: str) -> Iterator[str]:
    """Yield the pieces a word may be cut into: characters, with the marks that belong to them."""
    cluster = ""
    for character in word:
        belongs = (
            not cluster or _kind(character) in _FOLLOWING or _kind(cluster[-1]) in {*_OPENING, "Cf"}
        )
        if not belongs or width(cluster + character) > _LONGEST_CLUSTER:
            yield cluster
            cluster = ""
        cluster += character
    if cluster:
        yield cluster


def _kind(character: str) -> str:
    return unicodedata.category(character)


def _columns(character: str) -> int:
    if unicodedata.east_asian_width(character) in "WF":
        return 2
    return 0 if _kind(character) in {"Mn", "Me", "Cf"} else 1
