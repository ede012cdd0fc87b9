"""YAML text -> Document: plain data, places and every mistake that can be seen without knowing the keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from sttgate.config import references, scalars
from sttgate.config.document import Document, Key, Place, dotted
from sttgate.config.modes import others_can_read

LARGEST_TEXT = 256 * 1024
DEEPEST = 32
MOST_VALUES = 20_000
"""Every use of an alias counts, so a few lines of aliases of aliases cannot fill the memory."""


def parse(text: str, document: Document, environment: Mapping[str, str], base: Path) -> bool:
    """Read a configuration file's text into ``document``; files it refers to are relative to ``base``.

    Return False if the text cannot be read as keys and values at all.
    """
    start = document.values[()] = Place(document.file, 1, 1)
    found = len(document.problems)
    data = _Reader(document, environment, base).read(text)
    if isinstance(data, dict):
        document.data = data
    elif data is not None:
        document.report(start, "", "expected keys and values, such as 'server:'")
    return isinstance(data, dict) or len(document.problems) == found


def parse_value(text: str, key: Key, place: Place, document: Document) -> tuple[bool, Any]:
    """Read a single value that comes from ``place``, where ``$`` is an ordinary character.

    Return whether it can be used, and the value.
    """
    inner = Document(place.file)
    value = _Reader(inner, None, Path()).read(text)
    for problem in inner.problems:
        document.report(place, dotted(key), problem.message)
    return not inner.problems, value


class _TooMuch(Exception):
    def __init__(self, node: yaml.Node, message: str) -> None:
        super().__init__(message)
        self.mark = node.start_mark


class _Reader:
    """Walks the nodes of a text and builds data of them; ``environment`` None leaves ``$`` alone."""

    def __init__(
        self, document: Document, environment: Mapping[str, str] | None, base: Path
    ) -> None:
        self._document = document
        self._environment = environment
        self._base = base
        self._seen = 0

    def read(self, text: str) -> Any:
        node = _compose(text, self._document)
        try:
            return None if node is None else self._value(node, ())
        except _TooMuch as error:
            self._document.report(self._place(error.mark), "", str(error))
            return None

    def _place(self, mark: yaml.Mark) -> Place:
        return Place(self._document.file, mark.line + 1, mark.column + 1)

    def _value(self, node: yaml.Node, key: Key) -> Any:
        self._seen += 1
        if self._seen > MOST_VALUES:
            raise _TooMuch(node, f"more than {MOST_VALUES} values, counting every use of an alias")
        if len(key) > DEEPEST:
            raise _TooMuch(node, f"nested deeper than {DEEPEST} levels")
        self._document.values[key] = self._place(node.start_mark)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{scalars.TAG}map":
            return self._block(node, key)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{scalars.TAG}seq":
            return [self._value(item, (*key, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, key)
        return self._refuse_tag(key)

    def _block(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        block: dict[str, Any] = {}
        for name_node, value_node in node.value:
            place = self._place(name_node.start_mark)
            name = self._name(name_node, key, place)
            if name is None:
                continue
            inner = (*key, name)
            if name in block:
                first = self._document.keys[inner].line
                message = f"duplicate key (first at line {first})"
                self._document.report(place, dotted(inner), message)
                continue
            self._document.keys[inner] = place
            block[name] = self._value(value_node, inner)
        return block

    def _name(self, node: yaml.Node, key: Key, place: Place) -> str | None:
        message = "a key must be a word"
        if isinstance(node, yaml.ScalarNode) and node.value and _is_text(node.value):
            if node.value != "<<" or node.style is not None:
                return str(node.value)
            message = (
                "'<<' does not merge blocks here: write the keys out, or use an alias for a value"
            )
        self._document.report(place, dotted(key), message)
        return None

    def _scalar(self, node: yaml.ScalarNode, key: Key) -> Any:
        kind = node.tag.removeprefix(scalars.TAG)
        if kind == "str":
            return self._text(node.value, key)
        if not scalars.known(kind):
            return self._refuse_tag(key)
        try:
            return scalars.convert(kind, node.value)
        except ValueError:  # a wrong explicit tag, or more digits than Python reads
            self._document.complain(key, f"cannot be read as {kind}: put text in quotes")
            return None

    def _refuse_tag(self, key: Key) -> None:
        self._document.complain(
            key, "'!' starts a tag, which means nothing here: put text in quotes"
        )

    def _text(self, text: str, key: Key) -> str | None:
        if self._environment is not None:
            for path in references.files(text, self._base):
                if others_can_read(path):
                    message = f"every user of this machine can read {path} (chmod 600 it)"
                    self._document.complain(key, message, warning=True)
            try:
                text = references.fill(text, self._environment, self._base)
            except references.BadReference as error:
                self._document.complain(key, str(error))
                return None
        if not _is_text(text):
            self._document.complain(key, "holds a character that is not text")
            return None
        return text


def _is_text(text: str) -> bool:
    """Tell text from what no file name or database takes: NUL, and halves of surrogate pairs."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _compose(text: str, document: Document) -> yaml.Node | None:
    place, message = Place(document.file, 1, 1), ""
    if len(text) > LARGEST_TEXT:
        document.report(place, "", f"larger than {LARGEST_TEXT // 1024} KiB")
        return None
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=scalars.Loader)
        return node
    except ReaderError as error:
        before = text[: error.position]
        place = Place(document.file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        message = "this character is not allowed"
    except yaml.MarkedYAMLError as error:
        mark, message = _plainly(error)
        if mark:
            place = Place(document.file, mark.line + 1, mark.column + 1)
    except RecursionError:
        message = f"nested deeper than {DEEPEST} levels"
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML hands an escape such as "\UFFFFFFFF" to chr() without a look
        message = "not valid YAML: an escape in double quotes stands for no character"
    document.report(place, "", message)
    return None


_IN_QUOTES = "put text that starts with it in quotes"
_SYNTAX = (
    (r"found character '\\t'", "a tab cannot stand here: indent with spaces"),
    (r"found character", f"this character cannot stand here: {_IN_QUOTES}"),
    (r"could not find expected ':'", "expected 'key: value'"),
    (r"mapping values are not", "unexpected ':': check the indentation, or put the text in quotes"),
    (
        r"found undefined alias",
        f"'*' is for an alias of an anchor, and there is none: {_IN_QUOTES}",
    ),
    (r"found duplicate anchor", f"'&' is for an anchor, and this one exists: {_IN_QUOTES}"),
    (r"found undefined tag", f"'!' is for a tag, which means nothing here: {_IN_QUOTES}"),
    (
        r"found unknown escape",
        "'\\' starts an escape in double quotes: write two, or use single quotes",
    ),
    (r"expected a single document", "a second document starts here: remove the '---'"),
    (r"expected ',' or", "not closed: expected ',' or the closing bracket"),
    (r"unexpected (end of stream|document separator)", "not closed: expected the closing quote"),
    (r"expected '?<(block end|document start)>", "the indentation does not fit the lines above"),
)


def _plainly(error: yaml.MarkedYAMLError) -> tuple[yaml.Mark | None, str]:
    """Return a place and a sentence; PyYAML's own may quote the text, which may be a password."""
    complaint = f"{error.context}: {error.problem}"
    start, end = error.context_mark, error.problem_mark
    if end and end.buffer and end.buffer[max(end.pointer - 1, 0) : end.pointer + 1] == "${":
        return end, "a reference needs quotes inside brackets: ['${VAR}']"
    for pattern, message in _SYNTAX:
        if re.search(pattern, complaint):
            opening = message.startswith(("not closed", "expected 'key"))
            return (start or end) if opening else (end or start), message
    return end or start, "not valid YAML"
