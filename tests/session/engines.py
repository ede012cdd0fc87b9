"""Small plugins and helpers for tests of the session core.

Audio here is made of *words* of 0.1 s: all samples of a word have its number as their value, and
zero is silence. So what is said is a function of the audio, wherever a stream begins.
"""

from __future__ import annotations

import array
import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

from sttgate.audio import AudioFormat
from sttgate.errors import ProviderAuth, ProviderError, ProviderUnavailable, StoreError
from sttgate.events import Finalized, ProviderEvent, Transcript, Word
from sttgate.gateway import Gateway
from sttgate.provider import AudioInput, Capabilities, Control, Provider, StreamParams
from sttgate.session import entries
from sttgate.session.chain import ConfiguredProvider
from sttgate.session.entries import AnyEntry
from sttgate.session.session import Session
from sttgate.session.spool import Spool
from sttgate.stores import (
    Conversation,
    DayUsage,
    Recording,
    RecordingStore,
    SessionChange,
    SessionEnd,
    SessionPage,
    SessionQuery,
    SessionStart,
    StoredSession,
    TranscriptStore,
    Utterance,
)

T = TypeVar("T")

FORMAT = AudioFormat()
WORD_SECONDS = 0.1
WORD_SAMPLES = 1600
SEGMENT = 5  # a word whose number is a multiple of it ends a final
SENTENCE = 10  # and of this one, an utterance


def speech(numbers: Iterable[int]) -> bytes:
    """Return the audio of these words."""
    return b"".join(array.array("h", [number] * WORD_SAMPLES).tobytes() for number in numbers)


def spell(numbers: Iterable[int]) -> str:
    """Return the text of these words."""
    return " ".join(f"w{number}" for number in numbers if number)


FaultKind = Literal["error", "auth", "foreign", "cancelled", "end", "stall", "refuse"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong in one stream: after ``words`` words of audio, or once the audio has ended."""

    kind: FaultKind
    words: float = math.inf
    draining: bool = False


@dataclass
class Speaker(Provider):
    """Says the words of the audio; its n-th stream has the n-th of ``faults``, later ones none.

    ``silent``: says nothing before the audio has ended. ``deaf``: does not answer FINALIZE.
    """

    faults: Sequence[Fault | None] = ()
    always: Fault | None = None
    interims: bool = True
    deaf: bool = False
    endpoints: bool = True
    open_error: ProviderError | None = None
    capabilities: Capabilities = field(default_factory=lambda: Capabilities(word_times="exact"))
    streams: int = 0
    heard: int = 0

    async def open(self) -> None:
        """Open, or not."""
        if self.open_error is not None:
            raise self.open_error

    async def transcribe(
        self, audio: AudioInput, params: StreamParams
    ) -> AsyncGenerator[ProviderEvent, None]:
        """Yield the words of ``audio``."""
        fault = self.faults[self.streams] if self.streams < len(self.faults) else self.always
        self.streams += 1
        if fault is not None and fault.kind == "refuse":
            raise ProviderUnavailable("refused")
        pending, count = b"", 0
        segment = Segment()
        async for item in audio:
            if item is Control.FINALIZE:
                if not self.deaf:
                    if segment.end > segment.start:
                        yield segment.final(endpoint=bool(segment.words))
                    yield Finalized()
                continue
            assert isinstance(item, bytes)
            pending += item
            self.heard += len(item)
            while len(pending) >= 2 * WORD_SAMPLES:
                if fault is not None and count >= fault.words:
                    await _break(fault)
                    if fault.kind == "end":
                        return
                number = int.from_bytes(pending[:2], "little", signed=True)
                pending = pending[2 * WORD_SAMPLES :]
                count += 1
                segment.hear(number)
                if number % SEGMENT == 0 and (number or segment.end - segment.start > 2):
                    yield segment.final(endpoint=self.endpoints and number % SENTENCE == 0)
                elif number and self.interims:
                    yield segment.interim()
        if fault is not None and fault.draining:
            await _break(fault)
        if segment.end > segment.start:
            yield segment.final(endpoint=False)


class Segment:
    """The words since the last final of a stream."""

    def __init__(self) -> None:
        self.start = self.end = 0.0
        self.words: list[Word] = []
        self._count = 0

    def hear(self, number: int) -> None:
        """Add a word, or silence."""
        begin, self._count = self._count * WORD_SECONDS, self._count + 1
        self.end = self._count * WORD_SECONDS
        if number:
            self.words.append(Word(text=f"w{number}", start=begin, end=self.end))

    def interim(self) -> Transcript:
        """Return what was said so far."""
        return self._transcript(is_final=False, endpoint=False)

    def final(self, *, endpoint: bool) -> Transcript:
        """Return what was said, and begin the next."""
        result = self._transcript(is_final=True, endpoint=endpoint)
        self.start, self.words = self.end, []
        return result

    def _transcript(self, *, is_final: bool, endpoint: bool) -> Transcript:
        return Transcript(
            text=" ".join(word.text for word in self.words),
            start=self.start,
            end=self.end,
            is_final=is_final,
            endpoint=endpoint,
            words=tuple(self.words),
        )


async def _break(fault: Fault) -> None:
    match fault.kind:
        case "error":
            raise ProviderUnavailable("broke off")
        case "auth":
            raise ProviderAuth("no longer welcome")
        case "foreign":
            raise ZeroDivisionError("a mistake of the plugin")
        case "cancelled":
            raise asyncio.CancelledError  # what a library does whose scopes leak
        case "stall":
            await asyncio.get_running_loop().create_future()


@dataclass
class MemoryTranscripts(TranscriptStore):
    """Keeps transcripts in memory; while ``failing`` is set, every call raises it."""

    failing: Exception | None = None
    opened: bool = False
    starts: dict[str, SessionStart] = field(default_factory=dict)
    ends: dict[str, SessionEnd] = field(default_factory=dict)
    utterances: dict[str, dict[int, Utterance]] = field(default_factory=dict)
    refused: int = 0

    def _admit(self) -> None:
        if self.failing is not None:
            self.refused += 1
            raise self.failing

    async def open(self) -> None:
        """Open."""
        self._admit()
        self.opened = True

    async def close(self) -> None:
        """Close."""
        self.opened = False

    async def begin(self, session: SessionStart) -> None:
        """Keep the first start."""
        self._admit()
        self.starts.setdefault(session.id, session)
        self.utterances.setdefault(session.id, {})

    async def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        """Keep the last version."""
        self._admit()
        self.utterances[session_id][utterance.number] = utterance

    async def end(self, session_id: str, end: SessionEnd) -> None:
        """Keep the last end."""
        self._admit()
        self.ends[session_id] = end

    async def get(self, session_id: str) -> Conversation | None:
        """Return what is kept."""
        if session_id not in self.starts:
            return None
        rows = [row for _, row in sorted(self.utterances[session_id].items())]
        start, end = self.starts[session_id], self.ends.get(session_id)
        words = sum(len(row.text.split()) for row in rows)
        return Conversation(
            session=StoredSession(start=start, end=end, utterances=len(rows), words=words),
            utterances=rows,
        )

    async def list(self, query: SessionQuery) -> SessionPage:
        """Return nothing."""
        return SessionPage(sessions=())

    async def update(self, session_id: str, change: SessionChange) -> bool:
        """Change the title; the rest is not kept."""
        self._admit()
        start = self.starts.get(session_id)
        if start is not None and change.title is not None:
            self.starts[session_id] = replace(start, title=change.title or None)
        return start is not None

    async def delete_utterances(self, session_id: str) -> bool:
        """Forget what was said."""
        self._admit()
        self.utterances.get(session_id, {}).clear()
        return session_id in self.starts

    async def usage(self, since: float, until: float) -> Sequence[DayUsage]:
        """Return nothing."""
        return ()

    async def delete(self, session_id: str) -> bool:
        """Forget."""
        self._admit()
        self.ends.pop(session_id, None)
        self.utterances.pop(session_id, None)
        return self.starts.pop(session_id, None) is not None


@dataclass
class MemoryRecordings(RecordingStore):
    """Keeps recordings in memory; while ``failing`` is set, every call raises it."""

    failing: Exception | None = None
    opened: bool = False
    files: dict[str, bytes] = field(default_factory=dict)

    def _admit(self) -> None:
        if self.failing is not None:
            raise self.failing

    async def open(self) -> None:
        """Open."""
        self._admit()
        self.opened = True

    async def close(self) -> None:
        """Close."""
        self.opened = False

    async def put(self, session_id: str, source: Path) -> Recording:
        """Take the file over."""
        self._admit()
        if source.exists():
            self.files[session_id] = source.read_bytes()
            source.unlink()
        if session_id not in self.files:
            raise StoreError("there is no such file")
        return Recording(session_id=session_id, size=len(self.files[session_id]))

    async def find(self, session_id: str) -> Recording | None:
        """Return what is kept."""
        data = self.files.get(session_id)
        return None if data is None else Recording(session_id=session_id, size=len(data))

    async def read(
        self, session_id: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield all at once."""
        yield self.files[session_id][start:stop]

    async def delete(self, session_id: str) -> bool:
        """Forget."""
        return self.files.pop(session_id, None) is not None


@dataclass
class House:
    """A gateway and its stores."""

    gateway: Gateway
    transcripts: MemoryTranscripts
    recordings: MemoryRecordings
    spool_path: Path

    @property
    def spooled(self) -> list[str]:
        """The sessions that have a folder in the spool."""
        return sorted(path.name for path in self.spool_path.iterdir())


def build_house(
    folder: Path,
    *providers: Provider,
    transcripts: MemoryTranscripts | None = None,
    recordings: MemoryRecordings | None = None,
) -> House:
    """Return a gateway, not yet open, with these providers as its chain: p1, p2 …"""
    named = {f"p{n}": ConfiguredProvider(f"p{n}", p) for n, p in enumerate(providers, 1)}
    transcripts = transcripts or MemoryTranscripts()
    recordings = recordings or MemoryRecordings()
    path = folder / "spool"
    gateway = Gateway(named, named, (), transcripts, recordings, Spool(path, sync_interval=0))
    return House(gateway, transcripts, recordings, path)


@asynccontextmanager
async def open_house(
    folder: Path,
    *providers: Provider,
    transcripts: MemoryTranscripts | None = None,
    recordings: MemoryRecordings | None = None,
) -> AsyncIterator[House]:
    """Open what ``build_house`` builds, and close it, without waiting for stores that are out."""
    house = build_house(folder, *providers, transcripts=transcripts, recordings=recordings)
    await house.gateway.open()
    try:
        yield house
    finally:
        await house.gateway.drain("shutdown", timeout=1.0)
        await house.gateway.close()


async def say(session: Session, pcm: bytes, chunk: int = 3200) -> None:
    """Append ``pcm`` in pieces, giving everybody else a turn after each."""
    for at in range(0, len(pcm), chunk):
        session.append(pcm[at : at + chunk])
        await asyncio.sleep(0)


async def follow_until(
    session: Session, kind: type[entries.Entry], timeout: float = 20.0
) -> list[AnyEntry]:
    """Return the entries of a session from its first to the first of ``kind``."""
    seen: list[AnyEntry] = []
    more = asyncio.Event()
    reader = session.events.reader(0, more.set)
    try:
        async with asyncio.timeout(timeout):
            while True:
                more.clear()
                batch = await reader.take()
                for entry in batch:
                    seen.append(entry)
                    if isinstance(entry, kind):
                        return seen
                if not batch:
                    await more.wait()
    finally:
        reader.close()


async def eventually(check: Callable[[], object], timeout: float = 20.0) -> None:
    """Wait until ``check`` is true."""
    deadline = time.monotonic() + timeout
    while not check():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


async def until_gone(house: House, session: Session) -> None:
    """Wait until the gateway has done with a session."""
    await eventually(lambda: session.id not in house.gateway.sessions)


def finals(log: Iterable[AnyEntry]) -> list[entries.Transcript]:
    """Return the finals of a log."""
    return [e for e in log if isinstance(e, entries.Transcript) and e.is_final]


def text(log: Iterable[AnyEntry]) -> str:
    """Return all finals of a log joined with one space."""
    return " ".join(final.text for final in finals(log))


def of_kind(log: Iterable[AnyEntry], kind: type[T]) -> list[T]:
    """Return the entries of one kind."""
    return [entry for entry in log if isinstance(entry, kind)]
