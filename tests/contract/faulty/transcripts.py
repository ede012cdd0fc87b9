"""Copies of the store ``sqlite``, each of which breaks one promise of transcript stores."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sttgate import (
    Conversation,
    DayUsage,
    RequestError,
    SessionChange,
    SessionEnd,
    SessionPage,
    SessionQuery,
    SessionStart,
    StoredSession,
    StoreError,
    Utterance,
)
from sttgate_sqlite.options import SqliteOptions
from sttgate_sqlite.store import SqliteStore


class Healthy(SqliteStore):
    """Keeps the contract; the others change what goes in or what comes out."""

    def __init__(self, folder: Path) -> None:
        super().__init__(SqliteOptions(path=folder / "sttgate.db", synchronous="normal"))

    async def everything(self, query: SessionQuery) -> list[StoredSession]:
        """Return the sessions of all pages."""
        page = await super().list(replace(query, limit=1000, cursor=None))
        return list(page.sessions)


# --- what is kept -----------------------------------------------------------------------------


class LosesTheOwner(Healthy):
    async def begin(self, session: SessionStart) -> None:
        await super().begin(replace(session, owner=None))


class ChangesNobody(Healthy):
    async def update(self, session_id: str, change: SessionChange) -> bool:
        await super().update(session_id, change)
        return True


class WritesAtTheEnd(Healthy):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._said: dict[str, list[Utterance]] = defaultdict(list)

    async def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        self._said[session_id].append(utterance)

    async def end(self, session_id: str, end: SessionEnd) -> None:
        for utterance in self._said.pop(session_id, []):
            await super().add_utterance(session_id, utterance)
        await super().end(session_id, end)


class CountsEachCall(Healthy):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._calls: dict[str, int] = defaultdict(int)

    async def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        self._calls[session_id] += 1
        await super().add_utterance(session_id, utterance)

    async def find(self, session_id: str) -> StoredSession | None:
        found = await super().find(session_id)
        return found and replace(found, utterances=self._calls[session_id])


class LastBeginCounts(Healthy):
    async def begin(self, session: SessionStart) -> None:
        await super().delete(session.id)
        await super().begin(session)


class AppendsUtterances(Healthy):
    _rows = 0

    async def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        self._rows += 1
        await super().add_utterance(session_id, replace(utterance, number=self._rows))


class FirstEndCounts(Healthy):
    async def end(self, session_id: str, end: SessionEnd) -> None:
        found = await super().find(session_id)
        if found is not None and found.end is None:
            await super().end(session_id, end)


class OrderOfNumbers(Healthy):
    async def get(self, session_id: str) -> Conversation | None:
        found = await super().get(session_id)
        return found and replace(found, utterances=sorted(found.utterances, key=lambda u: u.number))


class ChangesInMemory(Healthy):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._changes: dict[str, SessionChange] = {}

    async def close(self) -> None:
        self._changes.clear()
        await super().close()

    async def update(self, session_id: str, change: SessionChange) -> bool:
        self._changes[session_id] = change
        return True

    async def get(self, session_id: str) -> Conversation | None:
        found = await super().get(session_id)
        if found is None or session_id not in self._changes:
            return found
        start = replace(found.session.start, title=self._changes[session_id].title)
        return replace(found, session=replace(found.session, start=start))


class ForeignException(Healthy):
    async def usage(self, since: float, until: float) -> Sequence[DayUsage]:
        try:
            return await super().usage(since, until)
        except StoreError as error:
            raise ConnectionResetError from error


class BreaksWhenCancelled(Healthy):
    _busy = False

    async def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        if self._busy:
            raise StoreError("another transaction is open")
        self._busy = True
        await super().add_utterance(session_id, utterance)
        self._busy = False


class LosesWhatComesAtOnce(Healthy):
    _busy = False

    async def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        if not self._busy:
            self._busy = True
            try:
                await super().add_utterance(session_id, utterance)
            finally:
                self._busy = False


class NotReady(Healthy):
    async def check(self) -> None:
        raise StoreError("there is nothing yet")


class LeakedTask(Healthy):
    async def open(self) -> None:
        self._flusher = asyncio.create_task(asyncio.sleep(3600), name="flusher")
        await super().open()


# --- the list ---------------------------------------------------------------------------------


class CursorIsAnOffset(Healthy):
    async def list(self, query: SessionQuery) -> SessionPage:
        first = int(query.cursor or 0)
        rest = (await self.everything(query))[first:]
        more = str(first + query.limit) if len(rest) > query.limit else None
        return SessionPage(sessions=rest[: query.limit], cursor=more)


class CursorIsATime(Healthy):
    async def list(self, query: SessionQuery) -> SessionPage:
        if query.cursor is not None:
            query = replace(query, until=float(query.cursor), cursor=None)
        page = await super().list(query)
        return page and replace(
            page, cursor=page.cursor and str(page.sessions[-1].start.created_at)
        )


class UntilIsInclusive(Healthy):
    async def list(self, query: SessionQuery) -> SessionPage:
        return await super().list(replace(query, until=query.until and query.until + 1e-3))


class EveryOwner(Healthy):
    async def list(self, query: SessionQuery) -> SessionPage:
        return await super().list(replace(query, owner=None))


class AnyOfTheMetadata(Healthy):
    async def list(self, query: SessionQuery) -> SessionPage:
        found = {}
        for key, value in query.metadata.items():
            page = await super().list(replace(query, metadata={key: value}))
            found |= {session.start.id: session for session in page.sessions}
        return SessionPage(sessions=list(found.values()))


class UncheckedCursor(Healthy):
    async def list(self, query: SessionQuery) -> SessionPage:
        try:
            return await super().list(query)
        except RequestError:
            return await super().list(replace(query, cursor=None))


# --- the search -------------------------------------------------------------------------------


class Searching(Healthy):
    """Reads the text in another way."""

    def read(self, text: str) -> str | None:
        return text

    async def list(self, query: SessionQuery) -> SessionPage:
        return await super().list(replace(query, text=query.text and self.read(query.text)))


class TextAsAWhole(Searching):
    def read(self, text: str) -> str:
        return f'"{text}"'


class WordsOfTheSession(Healthy):
    async def list(self, query: SessionQuery) -> SessionPage:
        found: dict[str, StoredSession] | None = None
        for word in (query.text or "").split():
            more = {s.start.id: s for s in await self.everything(replace(query, text=word))}
            found = {key: more[key] for key in more if found is None or key in found}
        return SessionPage(sessions=list((found or {}).values()))


class QuotesAreDropped(Searching):
    def read(self, text: str) -> str:
        return text.replace('"', " ")


class WholeWordsOnly(Searching):
    def read(self, text: str) -> str:
        return f'{text} ""'


class TakesSyntax(Searching):
    def read(self, text: str) -> str:
        if text.count('"') % 2:
            raise StoreError("fts5: syntax error")
        return text


class NoWordFindsAll(Healthy):
    async def list(self, query: SessionQuery) -> SessionPage:
        return await super().list(replace(query, text=query.text or None))


class LastHits(Healthy):
    async def list(self, query: SessionQuery) -> SessionPage:
        page = await super().list(query)
        return replace(page, sessions=[replace(s, hits=s.hits[::-1]) for s in page.sessions])


class SearchesThePage(Healthy):
    async def list(self, query: SessionQuery) -> SessionPage:
        page = await super().list(replace(query, text=None))
        if query.text is None:
            return page
        found = {s.start.id: s for s in await self.everything(query)}
        kept = [found[s.start.id] for s in page.sessions if s.start.id in found]
        return replace(page, sessions=kept)


# --- changes ----------------------------------------------------------------------------------


class KeepsAnEmptyTitle(Healthy):
    async def get(self, session_id: str) -> Conversation | None:
        found = await super().get(session_id)
        if found is None:
            return None
        start = replace(found.session.start, title=found.session.start.title or "")
        return replace(found, session=replace(found.session, start=start))


class ReplacesSpeakers(Healthy):
    async def update(self, session_id: str, change: SessionChange) -> bool:
        if change.speakers is not None and (found := await super().find(session_id)):
            nobody = dict.fromkeys(found.speakers)
            change = replace(change, speakers=nobody | dict(change.speakers))
        return await super().update(session_id, change)


class ForgetsTheRecording(Healthy):
    async def update(self, session_id: str, change: SessionChange) -> bool:
        return await super().update(session_id, replace(change, recording=None))


class HidesTheDeleted(Healthy):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._hidden: set[str] = set()

    async def delete(self, session_id: str) -> bool:
        known = await self.find(session_id) is not None
        self._hidden.add(session_id)
        return known

    async def find(self, session_id: str) -> StoredSession | None:
        return None if session_id in self._hidden else await super().find(session_id)

    async def get(self, session_id: str) -> Conversation | None:
        return None if session_id in self._hidden else await super().get(session_id)


class LeavesOrphans(Healthy):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._orphans: dict[str, Sequence[Utterance]] = {}

    async def begin(self, session: SessionStart) -> None:
        await super().begin(session)
        for utterance in self._orphans.get(session.id, ()):
            await super().add_utterance(session.id, utterance)

    async def delete(self, session_id: str) -> bool:
        if found := await super().get(session_id):
            self._orphans[session_id] = found.utterances
        return await super().delete(session_id)


class KeepsTheIndex(Healthy):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._emptied: set[str] = set()

    async def delete_utterances(self, session_id: str) -> bool:
        self._emptied.add(session_id)
        return await super().find(session_id) is not None

    async def get(self, session_id: str) -> Conversation | None:
        found = await super().get(session_id)
        if found is None or session_id not in self._emptied:
            return found
        empty = replace(found.session, utterances=0, words=0, preview="")
        return Conversation(session=empty, utterances=())


# --- usage ------------------------------------------------------------------------------------


class DaysOfTheStart(Healthy):
    async def end(self, session_id: str, end: SessionEnd) -> None:
        found = await super().find(session_id)
        assert found is not None
        await super().end(session_id, replace(end, ended_at=found.start.created_at))


class CountsEachEnd(Healthy):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._ends = 0

    async def end(self, session_id: str, end: SessionEnd) -> None:
        self._ends += 1
        await super().end(session_id, end)

    async def usage(self, since: float, until: float) -> Sequence[DayUsage]:
        days = await super().usage(since, until)
        return [replace(day, sessions=self._ends) for day in days]


class UsageOfWhatIsLeft(Healthy):
    async def usage(self, since: float, until: float) -> Sequence[DayUsage]:
        left = {s.start.owner for s in await self.everything(SessionQuery())}
        return [day for day in await super().usage(since, until) if day.owner in left]


class LosesTheOwnerless(Healthy):
    async def usage(self, since: float, until: float) -> Sequence[DayUsage]:
        return [day for day in await super().usage(since, until) if day.owner is not None]
