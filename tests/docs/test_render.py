"""What is printed from the code is up to date, and printed at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import render
from tests.docs.pages import PAGES, ROOT


def _comparable(what: str, text: str) -> str:
    # How help is wrapped is click's affair, and differs between its versions.
    return " ".join(text.split()) if what.startswith(("help", "commands")) else text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_printed_parts_are_up_to_date(page: Path) -> None:
    """Every part between render comments is what the code prints now."""
    text = page.read_text(encoding="utf-8")
    now = dict(render.parts(render.render(text)))
    stale = [
        what
        for what, body in render.parts(text)
        if _comparable(what, body) != _comparable(what, now[what])
    ]
    assert not stale, f"{page.name}: {stale} changed; run `{render.HOW}` and commit the result"


def test_every_printed_part_has_an_end() -> None:
    """A render comment without its end, which would never be printed, is noticed."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert text.count("<!-- render: ") - text.count("`<!-- render: ") == len(render.parts(text))


def test_every_command_is_printed() -> None:
    """The page about the command line has the help of every command."""
    from sttgate.cli import root

    shown = {what for what, _ in render.parts((ROOT / "docs" / "cli.md").read_text("utf-8"))}
    for name in root.list_commands(None):  # type: ignore[arg-type]
        assert {f"help {name}", f"commands {name}"} & shown, f"docs/cli.md lacks {name}"


def test_every_offer_of_a_shipped_plugin_is_printed() -> None:
    """The page about plugins has the options of every provider and store that comes along."""
    shown = {what for what, _ in render.parts((ROOT / "docs" / "plugins.md").read_text("utf-8"))}
    for kind, spec in render.specs():
        assert f"options {kind} {spec.name}" in shown
