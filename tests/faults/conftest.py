"""The fault bench: ``pytest tests/faults`` tests every promise and prints a row for each.

A test says with ``@pytest.mark.promise("P1", …)`` what it tests, and tells its figures to the
fixture ``measure``. ``--write-reliability`` puts the table into docs/reliability.md.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.process import Servers
from tests.faults.promises import Report, rewrite_page

_REPORT = pytest.StashKey[Report]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-reliability",
        action="store_true",
        help="put the table of the fault bench into docs/reliability.md",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_REPORT] = Report()
    config.addinivalue_line("markers", "promise(*numbers): what of docs/reliability.md it tests")


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Report:
    """Return what takes the figures."""
    return request.config.stash[_REPORT]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Return what makes servers; those that live are killed after the test."""
    made = Servers(tmp_path)
    yield made
    made.put_away()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for mark in item.iter_markers("promise"):
        for number in mark.args:
            row = item.config.stash[_REPORT].rows[number]
            if report.outcome == "failed":
                row.failed.append(item.name)
            elif hasattr(report, "wasxfail"):
                row.open.append(report.wasxfail.removeprefix("reason: "))
            elif report.skipped:
                assert isinstance(report.longrepr, tuple)
                row.skipped.append(str(report.longrepr[2]).removeprefix("Skipped: "))
            elif report.when == "call":
                row.passed += 1
                row.failed = [
                    name for name in row.failed if name != item.name
                ]  # it was tried again
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # of a process of pytest-xdist
    if output is not None:
        output["promises"] = session.config.stash[_REPORT].dump()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_REPORT].add(getattr(node, "workeroutput", {}).get("promises", {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    report = config.stash[_REPORT]
    if all(row.verdict == "not run" for row in report.rows.values()):
        return
    terminalreporter.section("promises")
    for line in report.table():
        terminalreporter.write_line(line)
    if config.getoption("--write-reliability", default=False):
        if report.complete:
            rewrite_page(report.table())
        else:
            terminalreporter.write_line("docs/reliability.md is left alone: not every row was run")
