"""Any sequence of calls leaves the store ``sqlite`` as it would leave a dict."""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sttgate import (
    Gap,
    SessionChange,
    SessionEnd,
    SessionQuery,
    SessionStart,
    StoreError,
    Utterance,
    Word,
)
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
KEYS = st.sampled_from(["a", "A", "a.b", "$", '"', "", "ä"]) | st.text()
SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(-1e9, 1e9)
METADATA = st.dictionaries(KEYS, SCALARS)
OWNERS = st.sampled_from(["ann", "bob", None])
STARTS = st.builds(
    SessionStart,
    id=IDS,
    created_at=SECONDS,
    protocol=st.just("native/1"),
    sample_rate=st.integers(8000, 48_000),
    channels=st.just(1),
    metadata=METADATA,
    title=st.none() | st.text(),
    owner=OWNERS,
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
    usage=st.dictionaries(KEYS, SECONDS),
)
CHANGES = st.builds(
    SessionChange,
    title=st.none() | st.text(),
    speakers=st.none() | st.dictionaries(KEYS, st.none() | st.text()),
    metadata=st.none() | METADATA,
    recording=st.none() | st.booleans(),
)
CALLS = st.one_of(
    st.tuples(st.just("begin"), STARTS),
    st.tuples(st.just("add_utterance"), IDS, UTTERANCES),
    st.tuples(st.just("end"), IDS, ENDS),
    st.tuples(st.just("update"), IDS, CHANGES),
    st.tuples(st.just("delete"), IDS),
    st.tuples(st.just("delete_utterances"), IDS),
)
MODEL_FIELDS = ("id", "created_at", "sample_rate", "title", "owner", "metadata")
DAY = 86_400


class Model:
    """The store as a dict of sessions; in each, utterances by number."""

    def __init__(self) -> None:
        self.starts: dict[str, SessionStart] = {}
        self.ends: dict[str, SessionEnd] = {}
        self.utterances: dict[str, dict[int, Utterance]] = {}
        self.speakers: dict[str, Mapping[str, object]] = {}
        self.used: dict[str, tuple[int, str | None, Mapping[str, float]]] = {}

    def begin(self, start: SessionStart) -> None:
        if start.id not in self.starts:
            self.starts[start.id] = start
            self.utterances[start.id] = {}
            self.speakers[start.id] = {}

    def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        self.utterances[session_id][utterance.number] = utterance

    def end(self, session_id: str, end: SessionEnd) -> None:
        start = self.starts[session_id]
        self.starts[session_id] = replace(start, metadata=end.metadata)
        self.ends[session_id] = end
        self.used[session_id] = (int(end.ended_at / DAY), start.owner, end.usage)

    def update(self, session_id: str, change: SessionChange) -> bool:
        if session_id not in self.starts:
            return False
        start, end = self.starts[session_id], self.ends.get(session_id)
        title = start.title if change.title is None else change.title or None
        metadata = merged(start.metadata, change.metadata)
        self.starts[session_id] = replace(start, title=title, metadata=metadata)
        self.speakers[session_id] = merged(self.speakers[session_id], change.speakers)
        if end is not None:
            recording = end.recording if change.recording is None else change.recording
            self.ends[session_id] = replace(end, recording=recording, metadata=metadata)
        return True

    def delete(self, session_id: str) -> bool:
        self.ends.pop(session_id, None)
        self.utterances.pop(session_id, None)
        return self.starts.pop(session_id, None) is not None

    def delete_utterances(self, session_id: str) -> bool:
        self.utterances.get(session_id, {}).clear()
        return session_id in self.starts

    def usage(self) -> dict[tuple[int, str | None], tuple[int, dict[str, float]]]:
        """Return sessions and counters by day and owner."""
        sessions: dict[tuple[int, str | None], int] = defaultdict(int)
        counters: dict[tuple[int, str | None], dict[str, float]] = defaultdict(dict)
        for day, owner, usage in self.used.values():
            sessions[day, owner] += 1
            for name, value in usage.items():
                added = counters[day, owner].get(name, 0.0) + value
                counters[day, owner][name] = added
        return {key: (count, counters[key]) for key, count in sessions.items()}


def merged(old: Mapping[str, Any], change: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return ``old`` with a merge patch applied."""
    change = change or {}
    kept = {key: value for key, value in old.items() if key not in change}
    return kept | {key: value for key, value in change.items() if value is not None}


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
        assert stored.speakers == model.speakers[session_id]
        assert stored.end == end
        assert await store.find(session_id) == stored
        assert stored.utterances == len(utterances)
        assert stored.words == sum(len(u.text.split()) for u in utterances)
        assert stored.preview == " ".join(u.text for u in utterances if u.text)
        conversation = await store.get(session_id)
        assert conversation is not None
        assert conversation.session == stored
        assert list(conversation.utterances) == sorted(utterances, key=lambda u: u.start)
    page = await store.list(SessionQuery(text="BETA"))
    assert {(s.start.id, hit.utterance) for s in page.sessions for hit in s.hits} == {
        (session_id, utterance.number)
        for session_id, utterances in model.utterances.items()
        for utterance in utterances.values()
        if "Béta" in utterance.text
    }
    for start in model.starts.values():
        page = await store.list(SessionQuery(owner=start.owner, metadata=start.metadata))
        assert start.id in {s.start.id for s in page.sessions}
    days = {
        (day.day, day.owner): (day.sessions, day.usage) for day in await store.usage(0.0, 1e6 + 1)
    }
    assert days == {
        (f"1970-01-{day + 1:02}", owner): (sessions, pytest.approx(usage))
        for (day, owner), (sessions, usage) in model.usage().items()
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
