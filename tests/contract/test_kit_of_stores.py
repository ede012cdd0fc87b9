"""The kit for transcript stores: it finds every fault that is planted, and passes a good store."""

from __future__ import annotations

import pytest

from sttgate.testing import TranscriptStoreTests
from tests.contract.test_kit import Verdicts, run

pytestmark = pytest.mark.xdist_group("kit_of_stores")  # one run of the kit, for all

FAULTS = {
    "LosesTheOwner": "test_keeps_everything",
    "ChangesNobody": "test_unknown_session",
    "WritesAtTheEnd": "test_running_session",
    "CountsEachCall": "test_find_is_get_without_utterances",
    "LastBeginCounts": "test_begin_again_changes_nothing",
    "AppendsUtterances": "test_same_number_replaces",
    "FirstEndCounts": "test_last_end_counts",
    "OrderOfNumbers": "test_utterances_in_order_of_time",
    "ChangesInMemory": "test_stored_is_stored",
    "ForeignException": "test_only_store_errors",
    "BreaksWhenCancelled": "test_cancelled_calls_do_no_harm",
    "LosesWhatComesAtOnce": "test_many_at_once",
    "NotReady": "test_check",
    "LeakedTask": "test_nothing_is_left_after_close",
    "CursorIsAnOffset": "test_list_while_sessions_are_added",
    "CursorIsATime": "test_list_in_pages",
    "UntilIsInclusive": "test_list_by_what_is_asked",
    "EveryOwner": "test_list_by_what_is_asked",
    "AnyOfTheMetadata": "test_list_by_metadata",
    "UncheckedCursor": "test_foreign_cursor",
    "TextAsAWhole": "test_search_finds_words",
    "WordsOfTheSession": "test_search_within_one_utterance",
    "QuotesAreDropped": "test_search_for_a_phrase",
    "WholeWordsOnly": "test_last_word_may_go_on",
    "TakesSyntax": "test_search_takes_no_syntax[syntax-2]",
    "NoWordFindsAll": "test_search_takes_no_syntax[syntax-0]",
    "LastHits": "test_first_three_hits",
    "SearchesThePage": "test_pages_of_a_search",
    "KeepsAnEmptyTitle": "test_title_is_changed",
    "ReplacesSpeakers": "test_changes_are_merged",
    "ForgetsTheRecording": "test_change_of_an_ended_session",
    "HidesTheDeleted": "test_deleted_is_gone",
    "LeavesOrphans": "test_begun_again_after_delete",
    "KeepsTheIndex": "test_deleted_utterances_are_gone",
    "DaysOfTheStart": "test_usage_by_day_and_owner",
    "CountsEachEnd": "test_usage_counts_once_and_stays",
    "UsageOfWhatIsLeft": "test_usage_counts_once_and_stays",
    "LosesTheOwnerless": "test_usage_without_an_owner",
}

HEAD = """
import pytest
from sttgate.testing import TranscriptStoreTests
from tests.contract.faulty import transcripts
"""
CLASS = """
class Test{name}(TranscriptStoreTests):
    @pytest.fixture
    def store(self, tmp_path):
        return transcripts.{name}(tmp_path)
"""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """The report about a good store and all faulty ones."""
    names = ["Healthy", *FAULTS]
    source = HEAD + "".join(CLASS.format(name=name) for name in names)
    # All promises for the good one; for a faulty one the promise it breaks, which is quicker.
    wanted = ["TestHealthy", *(f"Test{name}::{test}" for name, test in FAULTS.items())]
    said, found = run(tmp_path_factory.mktemp("faulty"), source, wanted)
    assert found, said
    return found


@pytest.mark.timeout(300)
def test_good_store_passes(verdicts: Verdicts) -> None:
    """A store that keeps the contract passes every test."""
    mine = {name: v for name, v in verdicts.items() if name.startswith("TestHealthy::")}
    assert len(mine) > 50
    assert {name: v for name, v in mine.items() if v["outcome"] != "passed"} == {}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(verdicts: Verdicts, fault: str) -> None:
    """A planted fault fails the test of its promise, with a sentence that says what happened."""
    verdict = verdicts[f"Test{fault}::{FAULTS[fault]}"]
    assert verdict["outcome"] == "failed"
    assert len(verdict["reason"].removeprefix("AssertionError: ").split()) > 3
    assert "A failure usually means" in verdict["doc"]


def test_each_promise_has_a_fault() -> None:
    """For each test of the kit there is a store that fails it."""
    tests = {name for name in dir(TranscriptStoreTests) if name.startswith("test_")}
    assert tests == {test.partition("[")[0] for test in FAULTS.values()}
