"""The pages of the documentation, taken apart: headings, links, fenced blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(DOCS.glob("*.md")),
)

_FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^(#+) (.+?)\s*$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``name`` is what ``name=…`` in its info string says."""

    language: str
    name: str
    text: str


def read(page: str) -> str:
    """Return the text of a page, named from the root of the repository."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page in order."""
    for match in _FENCE.finditer(text):
        language, _, rest = match["info"].strip().partition(" ")
        name = re.search(r"\bname=(\S+)", rest)
        yield Block(language, name[1] if name else "", match["text"])


def block(page: str, name: str) -> str:
    """Return the text of the fenced block called ``name`` on a page."""
    found = [each.text for each in blocks(read(page)) if each.name == name]
    assert len(found) == 1, f"{page} has {len(found)} blocks with name={name}"
    return found[0]


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", text)


def links(text: str) -> list[str]:
    """Return the targets of all links and pictures of a page."""
    return [one or other for one, other in _LINK.findall(prose(text))]


def anchors(text: str) -> set[str]:
    """Return the anchors a reader of the rendered page can jump to, by GitHub's rules."""
    seen: dict[str, int] = {}
    result = set()
    for _, title in _HEADING.findall(prose(text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = seen[slug] = seen.get(slug, -1) + 1
        result.add(f"{slug}-{count}" if count else slug)
    return result


def section(text: str, title: str) -> str:
    """Return what stands under the heading ``title``, up to the next of the same level or above."""
    headings = [(m.start(), m.end(), len(m[1]), m[2]) for m in _HEADING.finditer(text)]
    for index, (_, end, level, name) in enumerate(headings):
        if name == title:
            rest = (start for start, _, other, _ in headings[index + 1 :] if other <= level)
            return text[end : next(rest, len(text))]
    raise AssertionError(f"there is no heading {title!r}")


def table(text: str) -> list[list[str]]:
    """Return the rows of the first table in ``text``, without its header."""
    lines = [line for line in text.split("\n\n| ", 1)[-1].splitlines()]
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in lines if "|" in line]
    return [[cell.strip() for cell in row] for row in rows[2:]]
