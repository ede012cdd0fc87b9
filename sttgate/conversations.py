"""Stored conversations as a whole: the transcript in one store, the recording in another."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sttgate.errors import StoreError
from sttgate.stores import (
    RecordingStore,
    SessionChange,
    SessionQuery,
    StoredSession,
    TranscriptStore,
)

Part = Literal["transcript", "recording"]


async def delete(
    transcripts: TranscriptStore,
    recordings: RecordingStore,
    session_id: str,
    only: Part | None = None,
) -> bool:
    """Delete a conversation, or only what was said, or only the audio; False if there is none.

    Without ``only`` the session is gone from the list as well. Refuse first what ``in_spool`` finds:
    a session that still runs would be stored again. Raises StoreError; whatever it had done by then,
    or before a crash, another call does the rest: the audio goes first, since the row of a session
    is what people find it by.
    """
    if only == "transcript":
        return await transcripts.delete_utterances(session_id)
    heard = await recordings.delete(session_id)
    if only == "recording":
        known = await transcripts.update(session_id, SessionChange(recording=False))
    else:
        known = await transcripts.delete(session_id)
    return heard or known


def in_spool(spool: Path, session_id: str) -> bool:
    """Whether a session runs, in whichever process, or was left by a crash and is not stored yet.

    ``spool`` is the folder of ``spool.path`` in the configuration.
    """
    return (spool / session_id).exists()


async def sessions(
    transcripts: TranscriptStore, query: SessionQuery
) -> AsyncGenerator[StoredSession, None]:
    """Yield all sessions that ``query`` asks for, page after page of its ``limit``."""
    cursor = query.cursor
    while True:
        page = await transcripts.list(replace(query, cursor=cursor))
        for session in page.sessions:
            yield session
        cursor = page.cursor
        if cursor is None:
            return


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup has: how many conversations, how many of them with their recording.

    ``running`` ones are there as far as they had come, without their recording.
    """

    conversations: int
    recordings: int
    running: int


async def backup(transcripts: TranscriptStore, recordings: RecordingStore, folder: Path) -> Backup:
    """Copy everything to ``folder``, which does not exist or is empty: all of it or nothing.

    It gets the layout of the default configuration: what the transcript store writes lies in
    ``data``, and each recording is ``recordings/ID.wav``. Raises StoreError.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise StoreError(f"{folder} is not empty; make the backup in a new folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise StoreError(f"{folder} cannot be made: {error.strerror}.") from error
    try:
        for name in ("data", "recordings"):
            (unfinished / name).mkdir(mode=0o700)
        await transcripts.backup(unfinished / "data")
        done = await _copy_recordings(transcripts, recordings, unfinished / "recordings")
        unfinished.replace(folder)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return done


async def _copy_recordings(
    transcripts: TranscriptStore, recordings: RecordingStore, folder: Path
) -> Backup:
    total = copied = running = 0
    async with aclosing(sessions(transcripts, SessionQuery(limit=500))) as stored:
        async for session in stored:
            total += 1
            running += session.end is None
            session_id = session.start.id
            copied += await save(recordings, session_id, folder / f"{session_id}.wav")
    return Backup(total, copied, running)


async def save(recordings: RecordingStore, session_id: str, target: Path) -> bool:
    """Copy a recording to a file, all of it or nothing; False if there is none.

    Raises StoreError, or OSError if ``target`` cannot be written.
    """
    if await recordings.find(session_id) is None:
        return False
    handle, unfinished = tempfile.mkstemp(prefix=f".{target.stem}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            async for block in recordings.read(session_id):
                await asyncio.to_thread(file.write, block)
            file.flush()
            await asyncio.to_thread(os.fsync, handle)
        os.replace(unfinished, target)
    except StoreError:
        if await recordings.find(session_id) is None:
            return False  # deleted meanwhile
        raise
    finally:
        Path(unfinished).unlink(missing_ok=True)
    return True
