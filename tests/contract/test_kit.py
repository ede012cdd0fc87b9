"""The kit itself: it finds every fault that is planted into a provider, and passes a good one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sttgate.testing import ProviderTests

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 2  # seconds; long enough for a provider that answers at once

FAULTS = {
    "InterimAfterItsFinal": "test_no_interim_after_its_final",
    "OverlappingFinals": "test_finals_are_in_order",
    "LostLastFinal": "test_ends_with_the_last_words_final",
    "LostLastWord": "test_no_word_is_lost_at_the_end",
    "LeakedTask": "test_cancelling_frees_everything",
    "LeakedThread": "test_nothing_is_left_after_close",
    "SharedState": "test_streams_share_no_state",
    "SwallowedCancellation": "test_cancelling_frees_everything",
    "CancellationTakenForTheEnd": "test_cancelling_frees_everything",
    "ForeignException": "test_only_provider_errors[a model that does not exist]",
    "UnboundedBuffering": "test_slow_consumer_slows_it",
    "FinalizeIgnored": "test_finalize_settles_and_answers",
    "FinalizedTooSoon": "test_finalize_settles_and_answers",
    "TimesThatRestart": "test_finals_are_in_order",
    "Milliseconds": "test_times_lie_within_the_audio",
    "OneRate": "test_times_at_every_rate",
    "EndsInSilence": "test_pause_is_survived",
    "CannotReopen": "test_close_and_open_again",
}

HEAD = """
import pytest
from sttgate.testing import ProviderTests
from tests.contract.faulty import providers
"""
CLASS = """
class Test{name}(ProviderTests):
    patience = {patience}

    @pytest.fixture
    def provider(self):
        return providers.{name}()
"""


def run(folder: Path, source: str, *arguments: str) -> tuple[str, dict[str, dict[str, str]]]:
    """Run pytest on a file of its own; return its output and the report by test."""
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    report = folder / "report.jsonl"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "sttgate.testing.report", f"--sttgate-report={report}", *arguments]
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, "test_it.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    lines = [json.loads(line) for line in report.read_text("utf-8").splitlines()]
    return done.stdout + done.stderr, {line["test"]: line for line in lines}


Verdicts = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verdicts]:
    """The report about a good provider and all faulty ones, in pytest-asyncio's strict mode."""
    names = ["Healthy", *FAULTS]
    source = HEAD + "".join(CLASS.format(name=name, patience=PATIENCE) for name in names)
    said, found = run(tmp_path_factory.mktemp("faulty"), source)
    assert found, said
    yield found


@pytest.mark.timeout(300)
def test_good_provider_passes(verdicts: Verdicts) -> None:
    """A provider that keeps the contract passes every test."""
    mine = {name: v for name, v in verdicts.items() if name.startswith("TestHealthy::")}
    assert len(mine) > 25
    assert {name: v for name, v in mine.items() if v["outcome"] == "failed"} == {}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(verdicts: Verdicts, fault: str) -> None:
    """A planted fault fails the test of its clause, with a sentence that says what happened."""
    verdict = verdicts[f"Test{fault}::{FAULTS[fault]}"]
    assert verdict["outcome"] == "failed"
    assert " " in verdict["reason"]
    assert "A failure usually means" in verdict["doc"]
