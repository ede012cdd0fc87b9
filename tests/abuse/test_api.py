"""The API against what it says of itself: Hypothesis makes requests of its OpenAPI document."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from requests import Session
from schemathesis import Case, GenerationMode, checks
from structlog.testing import capture_logs

from tests.abuse.serving import TIMEOUT, serve

EXAMPLES = 8
"""Requests for each operation, of those that the document allows, and of those it does not."""

NO_HTTP = (400, ["text/plain; charset=utf-8"])
"""What aiohttp answers to lines that are too long, or headers that are none, before we are asked."""

CHECKED = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.mark.timeout(120)
def test_every_operation(tmp_path: Path) -> None:
    """Whatever is asked, the answer is one that the document tells of, and no failure of ours."""
    asked: dict[str, int] = {}
    with capture_logs() as logged, serve(tmp_path) as url, Session() as http:
        with urlopen(f"{url}/api/v1/openapi.json", timeout=TIMEOUT) as answer:
            document = json.load(answer)
        schema = schemathesis.openapi.from_dict(document)
        for found in schema.get_all_operations():
            operation = found.ok()
            for mode in GenerationMode:

                @settings(
                    max_examples=EXAMPLES,
                    deadline=None,
                    database=None,
                    derandomize="CI" in os.environ,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=operation.as_strategy(generation_mode=mode))
                def ask(case: Case) -> None:
                    response = case.call(f"{url}/api/v1", http, timeout=TIMEOUT)
                    if (response.status_code, response.headers.get("content-type")) == NO_HTTP:
                        return
                    case.validate_response(response, checks=CHECKED)
                    name = case.operation.label
                    asked[name] = asked.get(name, 0) + 1

                with suppress(Unsatisfiable):  # what takes no values cannot be asked wrongly
                    ask()
    assert set(asked) == {found.ok().label for found in schema.get_all_operations()}
    assert sum(asked.values()) > EXAMPLES * len(asked)
    assert [entry for entry in logged if entry["log_level"] in ("error", "critical")] == []
