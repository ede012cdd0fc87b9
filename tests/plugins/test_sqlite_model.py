"""Any sequence of calls leaves the store ``sqlite`` as it would leave a dict."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate import Gap, SessionEnd, SessionQuery, SessionStart, StoreError, Utterance, Word
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.store import SqliteStore

TEXTS = st.lists(st.sampled_from(["alpha", "Béta", "gamma"]), max_size=4).map(" ".join)
IDS = st.sampled_from(["a", "b", "c"])
SECONDS = st.floats(0, 1e6)
WORDS = st.lists(
    st.builds(
        Word,
        text=st.text(),
        start=SECONDS,
        end=SECONDS,
        confidence=st.none() | st.floats(0, 1),
        speaker=st.none() | st.text(),
    ),
    max_size=3,
).map(tuple)
METADATA = st.dictionaries(
    st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.floats(-1e9, 1e9)
)
STARTS = st.builds(
    SessionStart,
    id=IDS,
    created_at=SECONDS,
    protocol=st.just("native/1"),
    sample_rate=st.integers(8000, 48_000),
    channels=st.just(1),
    metadata=METADATA,
    title=st.none() | st.text(),
)
UTTERANCES = st.builds(
    Utterance,
    number=st.integers(1, 3),
    start=SECONDS,
    end=SECONDS,
    text=TEXTS,
    speaker=st.none() | st.text(),
    words=WORDS,
    complete=st.booleans(),
)
ENDS = st.builds(
    SessionEnd,
    state=st.sampled_from(["completed", "interrupted", "failed"]),
    ended_at=SECONDS,
    duration=SECONDS,
    reason=st.text(),
    recording=st.booleans(),
    provider=st.just("echo"),
    model=st.just("toy"),
    language=st.just("en"),
    metadata=METADATA,
    gaps=st.lists(st.builds(Gap, start=SECONDS, end=SECONDS), max_size=2).map(tuple),
    usage=st.dictionaries(st.text(), SECONDS),
)
CALLS = st.one_of(
    st.tuples(st.just("begin"), STARTS),
    st.tuples(st.just("add_utterance"), IDS, UTTERANCES),
    st.tuples(st.just("end"), IDS, ENDS),
    st.tuples(st.just("delete"), IDS),
)
MODEL_FIELDS = ("id", "created_at", "sample_rate", "title")


class Model:
    """The store as a dict of sessions; in each, utterances by number."""

    def __init__(self) -> None:
        self.starts: dict[str, SessionStart] = {}
        self.ends: dict[str, SessionEnd] = {}
        self.utterances: dict[str, dict[int, Utterance]] = {}

    def begin(self, start: SessionStart) -> None:
        if start.id not in self.starts:
            self.starts[start.id] = start
            self.utterances[start.id] = {}

    def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        self.utterances[session_id][utterance.number] = utterance

    def end(self, session_id: str, end: SessionEnd) -> None:
        if session_id not in self.starts:
            raise KeyError(session_id)
        self.ends[session_id] = end

    def delete(self, session_id: str) -> bool:
        self.ends.pop(session_id, None)
        self.utterances.pop(session_id, None)
        return self.starts.pop(session_id, None) is not None


async def compare(store: SqliteStore, model: Model) -> None:
    """Assert that everything that can be read is as the model says."""
    order = sorted(model.starts.values(), key=lambda start: (start.created_at, start.id))
    page = await store.list(SessionQuery())
    assert [s.start.id for s in page.sessions] == [start.id for start in reversed(order)]
    for stored in page.sessions:
        session_id = stored.start.id
        utterances = sorted(model.utterances[session_id].values(), key=lambda u: u.number)
        end = model.ends.get(session_id)
        start = model.starts[session_id]
        for name in MODEL_FIELDS:
            assert getattr(stored.start, name) == getattr(start, name)
        assert stored.start.metadata == (end or start).metadata
        assert stored.end == end
        assert stored.utterances == len(utterances)
        assert stored.words == sum(len(u.text.split()) for u in utterances)
        assert stored.preview == " ".join(u.text for u in utterances if u.text)
        conversation = await store.get(session_id)
        assert conversation is not None
        assert conversation.session == stored
        assert list(conversation.utterances) == sorted(utterances, key=lambda u: u.start)
    found = {(hit.session.start.id, hit.utterance) for hit in await store.search("BETA")}
    assert found == {
        (session_id, utterance.number)
        for session_id, utterances in model.utterances.items()
        for utterance in utterances.values()
        if "Béta" in utterance.text
    }


async def run(path: Path, calls: list[tuple[Any, ...]]) -> None:
    store, model = SqliteStore(SqliteOptions(path=path, synchronous="normal")), Model()
    await store.open()
    try:
        for name, *arguments in calls:
            try:
                expected = getattr(model, name)(*arguments)
            except KeyError:
                expected = StoreError
            try:
                assert await getattr(store, name)(*arguments) == expected
            except StoreError:
                assert expected is StoreError
        await compare(store, model)
    finally:
        await store.close()
    await store.open()
    try:
        await compare(store, model)
    finally:
        await store.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(CALLS, max_size=25))
def test_store_is_like_a_dict(calls: list[tuple[Any, ...]]) -> None:
    """After any calls, and after a restart, everything read equals what a dict would hold."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder) / "sttgate.db", calls))
