"""The kit itself: it finds every fault that is planted into a provider, and passes a good one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sttgate.testing import ProviderTests
from sttgate.testing.bench import Bench

pytestmark = pytest.mark.xdist_group("kit")  # one run of the kit, for all

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
    "SpeaksAtTheEnd": "test_silence_is_answered",
    "DropsThePartialFrame": "test_size_of_pieces_does_not_matter",
    "Unusable": "test_check",
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

XFAIL = """
    @pytest.mark.xfail(reason="it has no status")
    async def test_check(self, bench):
        await super().test_check(bench)
"""


def run(
    folder: Path, source: str, wanted: Sequence[str] = ()
) -> tuple[str, dict[str, dict[str, str]]]:
    """Run pytest on a file of its own; return its output and the report by test."""
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    report = folder / "report.jsonl"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "sttgate.testing.report", f"--sttgate-report={report}"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*command, *([f"test_it.py::{test}" for test in wanted] or ["test_it.py"])],
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
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """The report about a good provider and all faulty ones, in pytest-asyncio's strict mode."""
    names = ["Healthy", *FAULTS]
    source = HEAD + "".join(CLASS.format(name=name, patience=PATIENCE) for name in names)
    # All clauses for the good one; for a faulty one the clause it breaks, which is quicker.
    wanted = ["TestHealthy", *(f"Test{name}::{test}" for name, test in FAULTS.items())]
    said, found = run(tmp_path_factory.mktemp("faulty"), source, wanted)
    assert found, said
    return found


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


def test_opting_out_needs_a_reason() -> None:
    """A subclass may expect a test to fail, with a reason; to leave it out silently it may not."""

    class WithReason(ProviderTests):
        @pytest.mark.xfail(reason="the vendor hangs up")
        async def test_silence_is_survived(self, bench: Bench) -> None:
            await super().test_silence_is_survived(bench)

    for silenced in (None, lambda self: None, pytest.mark.skip(reason="slow")(lambda self: None)):
        with pytest.raises(TypeError, match=r"overrides test_check.*xfail\(reason="):
            type("Silent", (ProviderTests,), {"test_check": silenced})
    with pytest.raises(TypeError, match="overrides test_check"):
        type("StillSilent", (WithReason,), {"test_check": None})


def test_expected_failure_is_reported(tmp_path: Path) -> None:
    """A test that is expected to fail is reported with its reason, and fails nothing."""
    source = HEAD + CLASS.format(name="Unusable", patience=PATIENCE) + XFAIL
    said, found = run(tmp_path, source, ["TestUnusable::test_check"])
    (verdict,) = found.values()
    assert (verdict["outcome"], verdict["reason"]) == ("xfailed", "it has no status"), said
    assert "1 xfailed" in said


def test_names_without_pytest() -> None:
    """Where pytest is missing, scripted audio can be imported all the same."""
    program = (
        "import sys; sys.modules['pytest'] = sys.modules['pytest_asyncio'] = None\n"
        "from sttgate.testing import FakeVendorServer, ScriptedAudio, collect, silence, tone\n"
        "try:\n    from sttgate.testing import ProviderTests\n"
        "except ImportError as error:\n    print(error.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "pytest\n", done.stderr
