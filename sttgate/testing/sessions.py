"""What the tests of a transcript store put into it: sessions of their own, and words nobody says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from sttgate.events import Word
from sttgate.stores import (
    Conversation,
    DayUsage,
    Gap,
    Hit,
    Mark,
    SessionEnd,
    SessionQuery,
    SessionStart,
    StoredSession,
    TranscriptStore,
    Utterance,
)
from sttgate.testing.footprint import Footprint

DAY = 86_400.0
BEGAN = 46_296 * DAY
"""In the year 2096, so that sessions a store already has do not mix with those of the tests."""


class TranscriptBench:
    """An open store, sessions to put into it, and a word and an owner that nobody else has."""

    def __init__(self, store: TranscriptStore, before: Footprint) -> None:
        self.store = store
        self.before = before
        self.word = f"kit{uuid4().hex}"
        self.owner = f"kit-{uuid4().hex}"
        self._ids: list[str] = []

    def start(self, **changes: object) -> SessionStart:
        """Return a new session."""
        self._ids.append(str(uuid4()))
        start = SessionStart(
            id=self._ids[-1],
            created_at=BEGAN,
            protocol="native/2",
            sample_rate=16_000,
            channels=2,
            provider="kit",
            model="none",
            language="en",
            title="Réunion 🎙",
            client_ref="case 7",
            owner=self.owner,
            metadata={"text": "ä", "count": 3, "ratio": 0.1, "yes": True, "none": None},
        )
        return replace(start, **changes)  # type: ignore[arg-type]

    async def begun(self, **changes: object) -> SessionStart:
        """Begin a new session."""
        start = self.start(**changes)
        await self.store.begin(start)
        return start

    async def said(self, *texts: str, **changes: object) -> SessionStart:
        """Begin a new session in which these utterances are said, a second after another."""
        start = await self.begun(**changes)
        for number, text in enumerate(texts, 1):
            said = replace(self.utterance(number), text=text, words=())
            said = replace(said, start=float(number), end=number + 0.5)
            await self.store.add_utterance(start.id, said)
        return start

    def utterance(self, number: int) -> Utterance:
        """Return something said, with the word of this bench in it."""
        return Utterance(
            number=number,
            start=0.1,
            end=2.3,
            text=f"Hello, wörld {self.word}.",
            channel=1,
            speaker="0",
            language="en",
            confidence=0.87,
            provider="kit",
            words=(
                Word(text="Hello,", start=0.1, end=0.7, confidence=0.9, speaker="0"),
                Word(text="wörld", start=1.1, end=2.3),
            ),
            complete=False,
        )

    def end(self) -> SessionEnd:
        """Return how a session ended."""
        return SessionEnd(
            state="completed",
            ended_at=BEGAN + 60.5,
            duration=60.25,
            reason="client",
            recording=True,
            provider="kit",
            model="none",
            language="en",
            metadata={"count": 4},
            marks=(Mark(at=1.5, label="là"),),
            gaps=(Gap(start=3.5, end=4.25, channel=1),),
            usage={"audio_s": 60.25},
        )

    async def read(self, session_id: str) -> Conversation:
        """Return a session that is there."""
        found = await self.store.get(session_id)
        assert found is not None, "get returned None for a session that was begun"
        return found

    async def listed(self, query: SessionQuery) -> list[StoredSession]:
        """Return the sessions of all pages that are of the time of the tests."""
        query = replace(query, since=BEGAN if query.since is None else query.since)
        sessions: list[StoredSession] = []
        for _ in range(100):
            page = await self.store.list(query)
            assert len(page.sessions) <= query.limit, "a page is longer than its limit"
            sessions += page.sessions
            if page.cursor is None:
                return sessions
            query = replace(query, cursor=page.cursor)
        raise AssertionError("the pages of the list do not end")

    async def hits(self, session_id: str, text: str) -> Sequence[Hit] | None:
        """Return the hits of one session, None if it is not in the list of what matches."""
        for session in await self.listed(SessionQuery(text=text)):
            if session.start.id == session_id:
                return session.hits
        return None

    async def used(self, *owners: str | None, since: float, until: float) -> list[DayUsage]:
        """Return what these owners used."""
        return [day for day in await self.store.usage(since, until) if day.owner in owners]

    async def clean_up(self) -> None:
        """Delete what was stored, and close the store."""
        try:
            for session_id in self._ids:
                await self.store.delete(session_id)
        finally:
            await self.store.close()
