"""Results that are kept become tables, verdicts and a picture."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks import report
from benchmarks.figures import Figure, percentile, significant
from benchmarks.plot import bars
from benchmarks.targets import Target


def test_a_target_says_whether_it_is_met() -> None:
    """At most and at least are judged as they read, the goal itself is good enough."""
    most = Target("a", "at most", 2.0, lambda _: 0.0)
    least = Target("b", "at least", 2.0, lambda _: 0.0)
    assert [most.met(value) for value in (1.9, 2.0, 2.1)] == [True, True, False]
    assert [least.met(value) for value in (1.9, 2.0, 2.1)] == [False, True, True]


def test_the_picture_shows_each_server_at_each_size() -> None:
    """It is well-formed, with a bar for every server and size, as long as its ratio."""
    row = {"times_nginx": {"median": 2.0, "least": 1.5, "most": 2.5}}
    floor = {"times_nginx": {"median": 1.0, "least": 1.0, "most": 1.0}}
    servers = {"nginx relay": floor, "a & b": row}
    root = ElementTree.fromstring(bars({"sizes": {"20": servers, "100": servers}}))
    found = [r for r in root.iter("{http://www.w3.org/2000/svg}rect") if len(r)]
    widths = [float(bar.attrib["width"]) for bar in found]
    assert len(widths) == 4
    assert widths[2] == pytest.approx(2 * widths[0], abs=0.1)


def test_the_kept_picture_is_that_of_the_kept_result() -> None:
    """docs/performance.svg was drawn from benchmarks/results/chunks.json."""
    assert report.PLOT.read_text("utf-8") == bars(report.load("chunks"))


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (3.0, "3"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1234")]
)
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    """Nobody reads more of them, and whole numbers have no point."""
    assert report.number(value) == shown


def test_figures() -> None:
    """A figure is the median with both ends; a percentile of nothing is not a number."""
    assert Figure.of([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)
    assert significant(123.456) == 123.5
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert percentile([], 0.5) != percentile([], 0.5)
