"""What the tests say when a clause is broken."""

from __future__ import annotations

from collections.abc import Iterable

from sttgate.testing.hearing import Heard


def keeps(offences: Iterable[str]) -> None:
    """Fail with the first of ``offences`` if there is one."""
    found = list(offences)
    assert not found, f"{found[0]}" + (f" (and {len(found) - 1} more)" if found[1:] else "")


def same_words(expected: Heard, heard: Heard, when: str) -> None:
    """Fail if two streams did not say the same."""
    assert heard.words == expected.words, (
        f"{when} the words differ: {len(heard.words)} instead of {len(expected.words)}"
    )
