"""What of a session in the store ``sqlite`` can be changed and deleted, and the usage that stays."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from sttgate import DayUsage, SessionChange, SessionQuery, StoreError
from sttgate_sqlite.store import SqliteStore

from .test_sqlite import (
    END,
    START,
    found,
    no_leaked_thread,
    opened,
    path,
    session,
    store,
    utterance,
)

__all__ = ["no_leaked_thread", "path", "store"]  # fixtures

DAY = 86_400.0


async def test_change_everything(store: SqliteStore) -> None:
    """One call changes title, speakers, metadata and whether there is a recording, and no more."""
    await store.begin(START)
    await store.end(START.id, END)
    change = SessionChange(
        title="new", speakers={"0": "Ann"}, metadata={"desk": None, "x": 0.5}, recording=False
    )
    assert await store.update(START.id, change) is True
    stored = await store.find(START.id)
    assert stored is not None
    start = replace(START, provider="echo", model="toy", language="fr")
    assert stored.start == replace(start, title="new", metadata={"x": 0.5})
    assert stored.end == replace(END, metadata={"x": 0.5}, recording=False)
    assert stored.speakers == {"0": "Ann"}


async def test_change_of_nothing(store: SqliteStore) -> None:
    """A change with nothing in it changes nothing; a session that is not there is not made."""
    await store.begin(START)
    before = await store.get(START.id)
    for change in (SessionChange(), SessionChange(speakers={}, metadata={})):
        assert await store.update(START.id, change) is True
        assert await store.update("nobody", change) is False
    assert await store.get(START.id) == before
    assert await store.get("nobody") is None


async def test_running_session_has_no_end_after_a_change(store: SqliteStore) -> None:
    """A change of a session that runs does not end it; what ``recording`` says comes with its end."""
    await store.begin(START)
    assert await store.update(START.id, SessionChange(recording=False, title="new"))
    stored = await store.find(START.id)
    assert stored is not None
    assert stored.end is None
    await store.end(START.id, END)
    stored = await store.find(START.id)
    assert stored is not None
    assert stored.start.title == "new"
    assert stored.end is not None
    assert stored.end.recording is True


async def test_odd_names(store: SqliteStore) -> None:
    """Names and keys are kept whatever is in them; half a surrogate pair becomes "?"."""
    await store.begin(session(1))
    odd = {'a.b"c': "\0", "$[0]": "é", "": "", "\x1f": "x", "z\ud83d": "\ud83d"}
    assert await store.update("s1", SessionChange(title="\ud83d", speakers=odd, metadata=odd))
    stored = await store.find("s1")
    assert stored is not None
    kept = {'a.b"c': "\0", "$[0]": "é", "": "", "\x1f": "x", "z?": "?"}
    assert (stored.speakers, stored.start.metadata, stored.start.title) == (kept, kept, "?")
    gone = dict.fromkeys(kept)
    assert await store.update("s1", SessionChange(speakers=gone, metadata=gone))
    stored = await store.find("s1")
    assert stored is not None
    assert (stored.speakers, stored.start.metadata) == ({}, {})


async def test_delete_utterances(store: SqliteStore, path: Path) -> None:
    """What was said in one session is gone; the session, its neighbours and later words are there."""
    for number in (1, 2, 3):
        await store.begin(session(number, title="kept"))
        for place in (1, 2):
            await store.add_utterance(f"s{number}", utterance(place, "hello"))
    assert await store.delete_utterances("s2") is True
    assert await store.delete_utterances("s2") is True
    assert await store.delete_utterances("nobody") is False
    conversation = await store.get("s2")
    assert conversation is not None
    assert conversation.utterances == ()
    assert (conversation.session.utterances, conversation.session.words) == (0, 0)
    assert (conversation.session.preview, conversation.session.start.title) == ("", "kept")
    assert await found(store, "hello") == ["s3", "s1"]
    await store.add_utterance("s2", utterance(3, "hello again"))
    assert await found(store, "hello") == ["s3", "s2", "s1"]
    with sqlite3.connect(path) as connection:
        check = "INSERT INTO utterance_index (utterance_index, rank) VALUES ('integrity-check', 1)"
        connection.execute(check)
    connection.close()


async def test_deleted_utterances_leave_the_files(path: Path) -> None:
    """After utterances are deleted and the store is closed, no byte of them is in its files."""
    async with opened(path) as store:
        await store.begin(session(1))
        for number in range(1, 20):
            await store.add_utterance("s1", utterance(number, f"xylophone{number} quokka"))
        await store.begin(session(2))
        await store.add_utterance("s2", utterance(1, "walrus"))
        await store.delete_utterances("s1")
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"walrus" in content
    assert not [word for word in (b"xyloph", b"ylophone", b"uokka") if word in content]


async def test_usage(store: SqliteStore) -> None:
    """Usage is added up by day of the end and owner, in this order, counter by counter."""
    for number, (ended_at, owner, usage) in enumerate(
        (
            (2 * DAY, "bob", {"audio_s": 1.0}),
            (2 * DAY, None, {"audio_s": 2.0}),
            (DAY - 1e-6, "bob", {"audio_s": 4.0, "echo.sent_s": 0.5}),
            (0.0, "bob", {"audio_s": 8.0}),
            (DAY, "ann", {}),
        )
    ):
        await store.begin(session(number, owner=owner))
        await store.end(f"s{number}", replace(END, ended_at=ended_at, usage=usage))
    await store.begin(session(10, owner="bob"))
    everything = [
        DayUsage(
            day="1970-01-01", owner="bob", sessions=2, usage={"audio_s": 12.0, "echo.sent_s": 0.5}
        ),
        DayUsage(day="1970-01-02", owner="ann", sessions=1, usage={}),
        DayUsage(day="1970-01-03", owner=None, sessions=1, usage={"audio_s": 2.0}),
        DayUsage(day="1970-01-03", owner="bob", sessions=1, usage={"audio_s": 1.0}),
    ]
    assert list(await store.usage(0.0, 3 * DAY)) == everything
    assert list(await store.usage(0.0, 2 * DAY)) == everything[:2]
    assert list(await store.usage(DAY, 2 * DAY)) == everything[1:2]
    assert list(await store.usage(3 * DAY, 9 * DAY)) == []


async def test_usage_of_a_session_that_is_stored_again(store: SqliteStore) -> None:
    """A session that ends again, also after it was deleted, counts once, as it ended last."""
    for audio in (1.0, 2.0):
        await store.begin(session(1, owner="ann"))
        for _ in range(2):
            await store.end("s1", replace(END, usage={"audio_s": audio}))
        [day] = await store.usage(0.0, 2e9)
        assert (day.owner, day.sessions, day.usage) == ("ann", 1, {"audio_s": audio})
        await store.delete("s1")
        assert list(await store.usage(0.0, 2e9)) == [day]


@pytest.mark.parametrize("number", [0, -1, 1 << 24])
async def test_impossible_number(store: SqliteStore, number: int) -> None:
    """An utterance with a number that cannot be is refused, and touches no other session."""
    for n in range(1, 4):
        await store.begin(session(n))
        await store.add_utterance(f"s{n}", utterance(1, "hello"))
    with pytest.raises(StoreError):
        await store.add_utterance("s2", utterance(number, "other"))
    page = await store.list(SessionQuery(text="hello"))
    assert [s.utterances for s in page.sessions] == [1, 1, 1]
    assert await found(store, "other") == []
