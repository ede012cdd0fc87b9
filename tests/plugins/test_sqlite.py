"""What the store ``sqlite`` keeps, lists and deletes."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pluggy
import pytest

import sttgate_sqlite
from sttgate import (
    Gap,
    Mark,
    SessionEnd,
    SessionQuery,
    SessionStart,
    StoreError,
    Utterance,
    Word,
    hookspecs,
)
from sttgate_sqlite import purge
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.store import SqliteStore

START = SessionStart(
    id="0198c0de-0000-7000-8000-000000000001",
    created_at=1_760_000_000.123,
    protocol="native/1",
    sample_rate=16_000,
    channels=2,
    provider="deepgram",
    model="nova-3",
    language="en",
    title="Réunion",
    client_ref="case 7",
    metadata={"desk": "a", "count": 3, "ratio": 0.1, "vip": True, "note": None},
)
END = SessionEnd(
    state="completed",
    ended_at=1_760_000_060.5,
    duration=60.25,
    reason="client",
    recording=True,
    provider="echo",
    model="toy",
    language="fr",
    metadata={"desk": "b"},
    marks=(Mark(at=1.5, label="here"), Mark(at=2.5, label="là")),
    gaps=(Gap(start=3.5, end=4.25, channel=1),),
    usage={"audio_s": 60.25},
)
UTTERANCE = Utterance(
    number=1,
    start=0.1,
    end=2.3,
    text="Hello, wörld.",
    channel=1,
    speaker="0",
    language="en",
    confidence=0.87,
    provider="deepgram",
    words=(
        Word(text="Hello,", start=0.1, end=0.7, confidence=0.9, speaker="0"),
        Word(text="wörld.", start=1.1, end=2.3),
    ),
    complete=False,
)


def session(number: int, **changes: object) -> SessionStart:
    """Return one of many sessions, begun one second after another."""
    start = SessionStart(
        id=f"s{number}",
        created_at=1_760_000_000.0 + number,
        protocol="native/1",
        sample_rate=16_000,
        channels=1,
    )
    return replace(start, **changes)


def utterance(number: int, text: str) -> Utterance:
    """Return an utterance without extras."""
    return Utterance(number=number, start=float(number), end=number + 0.5, text=text)


def sqlite_threads() -> list[threading.Thread]:
    """Return the threads of connections that are still open."""
    return [t for t in threading.enumerate() if "_connection_worker_thread" in t.name]


@pytest.fixture(autouse=True)
def no_leaked_thread() -> Iterator[None]:
    """After each test, no connection's thread is left to keep the interpreter from exiting."""
    yield
    deadline = time.monotonic() + 5
    while sqlite_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not sqlite_threads()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sttgate.db"


async def found(store: SqliteStore, text: str) -> list[str]:
    """Return the ids of the sessions that match, the newest first."""
    page = await store.list(SessionQuery(text=text))
    return [session.start.id for session in page.sessions]


@asynccontextmanager
async def opened(path: Path, **options: object) -> AsyncIterator[SqliteStore]:
    """Open a store, and close it whatever happens."""
    store = SqliteStore(SqliteOptions(path=path, **options))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(path) as store:
        yield store


def test_plugin_offers_the_store() -> None:
    """The module is a plugin that offers one transcript store, built from its default options."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(sttgate_sqlite)
    manager.check_pending()
    [[spec]] = manager.hook.sttgate_transcript_stores()
    assert spec.name == "sqlite"
    assert isinstance(spec.factory(spec.options()), SqliteStore)


async def test_begun_session_is_found(store: SqliteStore) -> None:
    """A session that has begun comes back with every field, running and empty."""
    await store.begin(START)
    conversation = await store.get(START.id)
    assert conversation is not None
    assert conversation.session.start == START
    assert conversation.session.end is None
    assert (conversation.session.utterances, conversation.session.words) == (0, 0)
    assert conversation.session.preview == ""
    assert conversation.utterances == ()


async def test_begin_twice_changes_nothing(store: SqliteStore) -> None:
    """The first call of begin counts."""
    await store.begin(START)
    await store.begin(replace(START, title="other"))
    conversation = await store.get(START.id)
    assert conversation is not None
    assert conversation.session.start == START


async def test_utterance_comes_back(store: SqliteStore) -> None:
    """An utterance comes back with every field, its words and their times."""
    await store.begin(START)
    await store.add_utterance(START.id, UTTERANCE)
    conversation = await store.get(START.id)
    assert conversation is not None
    assert conversation.utterances == (UTTERANCE,)
    assert conversation.text == UTTERANCE.text


async def test_utterances_are_in_order_and_counted(store: SqliteStore) -> None:
    """Utterances come in the order of time, then number; counts and preview are up to date."""
    await store.begin(session(1))
    await store.add_utterance("s1", replace(utterance(4, "zero"), start=0.0))
    for number, text in ((2, "three four"), (1, "one two"), (3, "")):
        await store.add_utterance("s1", utterance(number, text))
    conversation = await store.get("s1")
    assert conversation is not None
    assert [u.number for u in conversation.utterances] == [4, 1, 2, 3]
    assert (conversation.session.utterances, conversation.session.words) == (4, 5)
    assert conversation.session.preview == "one two three four zero"


async def test_same_number_replaces(store: SqliteStore) -> None:
    """A second utterance with the same number takes the place of the first, in the counts too."""
    await store.begin(session(1))
    await store.add_utterance("s1", utterance(1, "one two three"))
    await store.add_utterance("s1", utterance(1, "four"))
    await store.add_utterance("s1", utterance(1, "four"))
    conversation = await store.get("s1")
    assert conversation is not None
    assert conversation.utterances == (utterance(1, "four"),)
    assert (conversation.session.utterances, conversation.session.words) == (1, 1)
    assert conversation.session.preview == "four"


async def test_long_preview_is_cut(store: SqliteStore) -> None:
    """The preview is short however long the text is, with or without spaces."""
    await store.begin(session(1))
    await store.add_utterance("s1", utterance(1, "あ" * 5000))
    conversation = await store.get("s1")
    assert conversation is not None
    assert conversation.session.preview == "あ" * 119 + "…"


async def test_odd_text_is_kept(store: SqliteStore) -> None:
    """A zero character is kept; half a surrogate pair, which SQLite cannot hold, becomes "?"."""
    await store.begin(session(1, title="\ud83d", metadata={"x": "\ud83d"}))
    word = Word(text="a\ud83d", start=0.0, end=1.0)
    await store.add_utterance("s1", replace(utterance(1, "a\0b \ud83d 😀"), words=(word,)))
    conversation = await store.get("s1")
    assert conversation is not None
    assert conversation.session.start.title == "?"
    assert conversation.session.start.metadata == {"x": "?"}
    assert conversation.utterances[0].text == "a\0b ? 😀"
    assert conversation.utterances[0].words[0].text == "a?"


async def test_ended_session(store: SqliteStore) -> None:
    """What the end knows of provider, model, language and metadata replaces what begin stored."""
    await store.begin(START)
    await store.end(START.id, END)
    conversation = await store.get(START.id)
    assert conversation is not None
    assert conversation.session.end == END
    assert conversation.session.start == replace(
        START, provider="echo", model="toy", language="fr", metadata={"desk": "b"}
    )


async def test_last_end_counts(store: SqliteStore) -> None:
    """A second end replaces the first; what it leaves open stays as it was."""
    await store.begin(START)
    for state in ("interrupted", "completed"):
        end = replace(END, state=state, provider=None, model=None, language=None, metadata=None)
        await store.end(START.id, end)
    conversation = await store.get(START.id)
    assert conversation is not None
    assert conversation.session.start == START
    assert conversation.session.end is not None
    assert conversation.session.end.state == "completed"
    assert conversation.session.end.metadata == START.metadata


async def test_unknown_session(store: SqliteStore) -> None:
    """Nothing can be added to a session that was not begun, and nothing is found of it."""
    with pytest.raises(StoreError, match="Session nobody is not in the database"):
        await store.add_utterance("nobody", UTTERANCE)
    with pytest.raises(StoreError, match="Session nobody is not in the database"):
        await store.end("nobody", END)
    assert await store.get("nobody") is None
    assert await store.delete("nobody") is False


async def test_delete(store: SqliteStore, path: Path) -> None:
    """A deleted session is gone with its utterances and index entries; others stay."""
    for number in (1, 2):
        await store.begin(session(number))
        await store.add_utterance(f"s{number}", utterance(1, "hello"))
    assert await store.delete("s1") is True
    assert await store.delete("s1") is False
    assert await store.get("s1") is None
    assert await found(store, "hello") == ["s2"]
    assert [s.start.id for s in (await store.list(SessionQuery())).sessions] == ["s2"]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM utterances").fetchone() == (1,)
        check = "INSERT INTO utterance_index (utterance_index, rank) VALUES ('integrity-check', 1)"
        connection.execute(check)
    connection.close()


async def test_deleted_text_leaves_the_files(path: Path) -> None:
    """After a deletion and close, no byte of what was said is in the database or beside it."""
    async with opened(path) as store:
        for number in range(20):
            await store.begin(session(number, title="zanzibar"))
            await store.add_utterance(f"s{number}", utterance(1, f"xylophone{number} quokka"))
            word = Word(text="xylophone", start=0.0, end=1.0)
            await store.add_utterance(f"s{number}", replace(utterance(2, "other"), words=(word,)))
        await store.begin(session(100))
        await store.add_utterance("s100", utterance(1, "walrus"))
        for number in range(20):
            await store.delete(f"s{number}")
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"walrus" in content
    assert not [word for word in (b"zanzi", b"xyloph", b"ylophone", b"uokka") if word in content]


async def test_deleted_text_leaves_the_files_while_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it some seconds after a deletion, while the store goes on."""
    monkeypatch.setattr(purge, "DELAY", 0.1)
    async with opened(path) as store:
        await store.begin(session(1, title="zanzibar"))
        await store.add_utterance("s1", utterance(1, "xylophone quokka"))
        await store.delete("s1")
        async with asyncio.timeout(20):
            while any(  # noqa: ASYNC110 - what is waited for has no event
                word in file.read_bytes()
                for file in path.parent.iterdir()
                for word in (b"zanzi", b"xyloph", b"uokka")
            ):
                await asyncio.sleep(0.05)
        await store.begin(session(2))
        assert await store.find("s2") is not None


async def test_reopen_keeps_everything(path: Path) -> None:
    """What was stored is there when the database is opened again, by the same or another store."""
    async with opened(path) as store:
        await store.begin(START)
        await store.add_utterance(START.id, UTTERANCE)
        await store.end(START.id, END)
        before = await store.get(START.id)
        await store.close()
        await store.open()
        assert await store.get(START.id) == before
    async with opened(path) as store:
        assert await store.get(START.id) == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_only_the_owner_can_read(store: SqliteStore, path: Path) -> None:
    """No file of the database can be read by others, whatever the umask."""
    await store.begin(START)
    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3


async def test_check_writes(store: SqliteStore) -> None:
    """The check passes on a healthy database, as often as it is asked."""
    await store.check()
    await store.check()


@pytest.mark.parametrize("window", [0, 20])
async def test_concurrent_writes_are_grouped(path: Path, window: int) -> None:
    """A hundred callers at once are all stored, in few commits."""
    async with opened(path, group_commit_ms=window, synchronous="normal") as store:
        await store.begin(session(1))
        await asyncio.gather(
            *(store.add_utterance("s1", utterance(number, "word")) for number in range(1, 101))
        )
        conversation = await store.get("s1")
    assert conversation is not None
    assert [u.number for u in conversation.utterances] == list(range(1, 101))
    assert (conversation.session.utterances, conversation.session.words) == (100, 100)


async def test_more_writes_than_the_queue_holds(store: SqliteStore) -> None:
    """Callers beyond the bound of the queue wait for their turn."""
    await store.begin(session(1))
    await asyncio.gather(
        *(store.add_utterance("s1", utterance(number, "")) for number in range(1, 2501))
    )
    page = await store.list(SessionQuery())
    assert page.sessions[0].utterances == 2500


@pytest.mark.parametrize("window", [0, 50])
async def test_close_finishes_what_was_accepted(path: Path, window: int) -> None:
    """Writes that wait or run when close is called are stored; later ones are refused."""
    async with opened(path, group_commit_ms=window) as store:
        writes = []
        for number in range(10):
            writes.append(asyncio.create_task(store.begin(session(number))))
            await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*writes)
        with pytest.raises(StoreError, match="is not open"):
            await store.begin(START)
        await store.open()
        assert len((await store.list(SessionQuery())).sessions) == 10


async def test_idle_store_uses_no_time(store: SqliteStore) -> None:
    """A store with nothing to do sleeps."""
    await store.begin(START)
    before = time.process_time()
    await asyncio.sleep(0.5)
    assert time.process_time() - before < 0.2


async def test_not_open(path: Path) -> None:
    """Before open and after close every call says so, and close may be called at any time."""
    store = SqliteStore(SqliteOptions(path=path))
    await store.close()
    for call in (store.begin(START), store.get("x"), store.list(SessionQuery()), store.check()):
        with pytest.raises(StoreError, match=r"sttgate\.db is not open"):
            await call
    await store.open()
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="is not open"):
        await store.list(SessionQuery(text="hello"))
