"""The store: one statement of SQL for each thing the host asks of it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from sttgate import (
    Conversation,
    DayUsage,
    SessionChange,
    SessionEnd,
    SessionPage,
    SessionQuery,
    SessionStart,
    StoredSession,
    StoreError,
    TranscriptStore,
    Utterance,
)
from sttgate_sqlite.connection import connect
from sttgate_sqlite.copying import copy
from sttgate_sqlite.failure import explain
from sttgate_sqlite.listing import read_page
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.purge import Purge
from sttgate_sqlite.readers import Readers
from sttgate_sqlite.rows import (
    SESSION_COLUMNS,
    change_parameters,
    end_parameters,
    session_from,
    start_parameters,
    utterance_from,
    utterance_parameters,
)
from sttgate_sqlite.schema import APPLICATION_ID, migrate
from sttgate_sqlite.usage import days_from, usage_queries
from sttgate_sqlite.writer import Writer

_READERS = 2

_BEGIN = """
    INSERT INTO sessions (id, created_at, protocol, sample_rate, channels, provider, model,
        language, title, client_ref, owner, metadata)
    VALUES (:id, :created_at, :protocol, :sample_rate, :channels, :provider, :model,
        :language, :title, :client_ref, :owner, :metadata)
    ON CONFLICT (id) DO NOTHING
"""
_ADD_UTTERANCE = """
    INSERT INTO utterances (id, number, channel, start_s, end_s, text, speaker, language,
        confidence, provider, complete, word_count, words)
    SELECT seq << 24 | :number, :number, :channel, :start, :end, :text, :speaker, :language,
        :confidence, :provider, :complete, :word_count, :words
    FROM sessions WHERE id = :session_id
    ON CONFLICT (id) DO UPDATE SET channel = excluded.channel,
        start_s = excluded.start_s, end_s = excluded.end_s, text = excluded.text,
        speaker = excluded.speaker, language = excluded.language,
        confidence = excluded.confidence, provider = excluded.provider,
        complete = excluded.complete, word_count = excluded.word_count, words = excluded.words
    RETURNING id
"""
_END = """
    UPDATE sessions SET state = :state, ended_at = :ended_at, duration = :duration,
        reason = :reason, recording = :recording, marks = :marks, gaps = :gaps,
        usage = :usage,
        provider = coalesce(:provider, provider), model = coalesce(:model, model),
        language = coalesce(:language, language), metadata = coalesce(:metadata, metadata)
    WHERE id = :id
    RETURNING id
"""
_UPDATE = """
    UPDATE sessions SET title = CASE WHEN :title IS NULL THEN title ELSE nullif(:title, '') END,
        speakers = coalesce(json_patch(speakers, :speakers), speakers),
        metadata = coalesce(json_patch(metadata, :metadata), metadata),
        recording = iif(ended_at IS NULL, NULL, coalesce(:recording, recording))
    WHERE id = :id
    RETURNING id
"""
_FIND = f"SELECT {SESSION_COLUMNS} FROM sessions AS s WHERE id = :id"
_GET_UTTERANCES = """
    SELECT u.* FROM sessions AS s CROSS JOIN utterances AS u
    WHERE s.id = :id AND u.id BETWEEN s.seq << 24 AND s.seq << 24 | 0xFFFFFF
    ORDER BY start_s, number
"""
_DELETE_UTTERANCES = """
    DELETE FROM utterances WHERE id BETWEEN (SELECT seq << 24 FROM sessions WHERE id = :id)
        AND (SELECT seq << 24 | 0xFFFFFF FROM sessions WHERE id = :id)
"""
_DELETE = "DELETE FROM sessions WHERE id = :id RETURNING id"
_CHECK = f"PRAGMA application_id = {APPLICATION_ID}"  # writes a page, and changes nothing


class SqliteStore(TranscriptStore):
    """Transcripts in one SQLite file with a write-ahead log next to it, read while it is written.

    A deleted session is gone from the file's tables at once, and from the full-text index and the
    log some seconds later, at the latest at ``close``.
    """

    def __init__(self, options: SqliteOptions) -> None:
        self._options = options
        self._path = options.path.absolute()
        self._writer = Writer(self._path, options.group_commit_ms / 1000)
        self._readers = Readers(self._path)
        self._purge = Purge(self._writer, self._path)
        self._resources = AsyncExitStack()

    async def open(self) -> None:
        """Make the file and its folder if need be, and bring its schema up to date."""
        await self.close()
        try:
            _create(self._path)
            async with AsyncExitStack() as resources:
                await self._start(resources)
                self._resources = resources.pop_all()
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    async def _start(self, resources: AsyncExitStack) -> None:
        connection = await connect(self._path, self._options)
        resources.push_async_callback(connection.close)
        await migrate(connection, self._path)
        readers = []
        for _ in range(_READERS):
            readers.append(await connect(self._path, self._options, read_only=True))
            resources.push_async_callback(readers[-1].close)
        self._writer.start(connection)
        resources.push_async_callback(self._writer.stop)
        self._purge.start()
        resources.push_async_callback(self._purge.stop)
        self._readers.start(readers)
        resources.push_async_callback(self._readers.stop)

    async def close(self) -> None:
        """Finish the writes that were accepted and close the file; also when it is not open."""
        try:
            await self._resources.aclose()
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    async def check(self) -> None:
        """Write something that changes nothing."""
        await self._writer.write(_CHECK)
        if not self._path.exists():
            raise StoreError(
                f"The database {self._path} was removed while in use; restart to make a new one."
            )

    async def begin(self, session: SessionStart) -> None:
        """Store a new session, unless it is there."""
        await self._writer.write(_BEGIN, start_parameters(session))

    async def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        """Store or replace an utterance; StoreError when the session was not begun, or is deleted."""
        parameters = utterance_parameters(session_id, utterance)
        if not await self._writer.write(_ADD_UTTERANCE, parameters):
            raise self._unknown(session_id)

    async def end(self, session_id: str, end: SessionEnd) -> None:
        """Store how a session ended; StoreError when it was not begun, or is deleted.

        What ``end`` knows of provider, model, language and metadata replaces what ``begin`` stored;
        both ``start`` and ``end`` of a stored session then say the same.
        """
        if not await self._writer.write(_END, end_parameters(session_id, end)):
            raise self._unknown(session_id)

    async def get(self, session_id: str) -> Conversation | None:
        """Return a session and its utterances as they were at one moment."""
        key = {"id": session_id}
        sessions, utterances = await self._readers.fetch((_FIND, key), (_GET_UTTERANCES, key))
        if not sessions:
            return None
        return Conversation(
            session=session_from(sessions[0]),
            utterances=tuple(utterance_from(row) for row in utterances),
        )

    async def find(self, session_id: str) -> StoredSession | None:
        """Return a session without reading its utterances."""
        [rows] = await self._readers.fetch((_FIND, {"id": session_id}))
        return session_from(rows[0]) if rows else None

    async def list(self, query: SessionQuery) -> SessionPage:
        """Return a page; RequestError for a cursor that is not from such a page."""
        return await self._readers.read(lambda snapshot: read_page(snapshot, query))

    async def update(self, session_id: str, change: SessionChange) -> bool:
        """Change a session in one statement; ``recording`` counts once the session has ended."""
        return bool(await self._writer.write(_UPDATE, change_parameters(session_id, change)))

    async def delete(self, session_id: str) -> bool:
        """Delete a session with its utterances and what the index has of them; its usage stays."""
        deleted = bool(await self._writer.write(_DELETE, {"id": session_id}))
        if deleted:
            self._purge.request()
        return deleted

    async def delete_utterances(self, session_id: str) -> bool:
        """Delete what was said and what the index has of it."""
        await self._writer.write(_DELETE_UTTERANCES, {"id": session_id})
        self._purge.request()
        return await self.find(session_id) is not None

    async def usage(self, since: float, until: float) -> Sequence[DayUsage]:
        """Return what was used by day and owner, in this order."""
        return days_from(*await self._readers.fetch(*usage_queries(since, until)))

    async def backup(self, folder: Path) -> None:
        """Copy the database to a file of the same name; StoreError if that file is there."""
        target = folder / self._path.name
        if target.exists():
            raise StoreError(f"{target} is there already; make the backup in another folder.")
        _create(target)
        try:
            await asyncio.to_thread(copy, self._path, target)
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    def _unknown(self, session_id: str) -> StoreError:
        return StoreError(
            f"Session {session_id} is not in the database {self._path}: "
            "it was not begun, or it was deleted; begin it first."
        )


def _create(path: Path) -> None:
    """Make an empty file that only its owner can read, and its folder; keep what is there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be opened ({error.strerror}); "
            "make its folder writable for this user, or set a different path."
        ) from error
