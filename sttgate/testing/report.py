"""A pytest plugin that writes down how each test went, one JSON object a line.

``pytest -p sttgate.testing.report --sttgate-report=FILE``. The fields are ``test``, ``outcome``
(passed, failed, skipped, xfailed), ``reason`` (one sentence; empty when it passed) and ``doc``.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the name of the file."""
    parser.addoption("--sttgate-report", metavar="FILE", type=Path, default=None)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to write if there is a file."""
    if (path := config.getoption("--sttgate-report")) is not None:
        config.pluginmanager.register(_Reporter(path))


class _Reporter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.write_text("", encoding="utf-8")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Write a line for a test that has run, and for a set-up or clean-up that went wrong."""
        report = yield
        if report.when == "call" or report.outcome != "passed":
            line = {
                "test": item.nodeid.partition("::")[2],
                "outcome": "xfailed" if hasattr(report, "wasxfail") else report.outcome,
                "reason": _reason(report, call),
                "doc": inspect.getdoc(getattr(item, "function", None)) or "",
            }
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        return report


def _reason(report: pytest.TestReport, call: pytest.CallInfo[None]) -> str:
    if report.outcome == "passed" or call.excinfo is None:
        return ""
    error: Any = call.excinfo.value
    if report.outcome == "skipped":
        return str(getattr(report, "wasxfail", "") or error)
    text = next(iter(str(error).splitlines()), "")
    return text if isinstance(error, AssertionError) and text else f"{type(error).__name__}: {text}"
