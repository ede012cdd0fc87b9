"""The page on reliability and the fault bench say the same."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.promises import BEGIN, END, PAGE, PROMISES

_MARK = re.compile(r"mark\.promise\(([^)]*)\)")


def test_every_promise_is_tested_and_every_test_has_a_promise() -> None:
    """Each row of the table is tested somewhere, and no test is for a promise nobody gave."""
    tested: set[str] = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for numbers in _MARK.findall(file.read_text(encoding="utf-8")):
            tested.update(re.findall(r'"(P\d+)"', numbers))
    assert tested == {promise.number for promise in PROMISES}


def test_the_page_has_a_row_for_each_promise() -> None:
    """The table in docs/reliability.md lists the promises as they are tested, each with a figure."""
    table = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in table.strip().splitlines()[2:]
    ]
    assert [row[:3] for row in rows] == [[p.number, p.title, p.goal] for p in PROMISES]
    assert all(measured and holds != "not run" for *_, measured, holds in rows)
