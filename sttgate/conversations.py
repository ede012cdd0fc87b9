"""Stored conversations as a whole: the transcript in one store, the recording in another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

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
) -> AsyncIterator[StoredSession]:
    """Yield all sessions that ``query`` asks for, page after page of its ``limit``."""
    cursor = query.cursor
    while True:
        page = await transcripts.list(replace(query, cursor=cursor))
        for session in page.sessions:
            yield session
        cursor = page.cursor
        if cursor is None:
            return
