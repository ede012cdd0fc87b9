"""What a storage plugin implements: a transcript store (rows) and a recording store (bytes)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from sttgate.events import Word
from sttgate.provider import Options

SessionState = Literal["active", "completed", "incomplete", "interrupted", "failed"]
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStart:
    """What is known of a session when its first audio arrives.

    ``created_at`` is seconds since the epoch (UTC); ``protocol`` names the wire, such as
    ``"native/1"``; ``metadata`` holds scalars only; ``owner`` is the id of the API key it was opened
    with.
    """

    id: str
    created_at: float
    protocol: str
    sample_rate: int
    channels: int
    provider: str | None = None
    model: str | None = None
    language: str | None = None
    title: str | None = None
    client_ref: str | None = None
    owner: str | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """The finals up to an endpoint. ``number`` counts from 1 within the session; times are seconds.

    ``provider`` is who recognised it; ``complete`` turns true at its endpoint.
    """

    number: int
    start: float
    end: float
    text: str
    channel: int = 0
    speaker: str | None = None
    language: str | None = None
    confidence: float | None = None
    provider: str | None = None
    words: Sequence[Word] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A bookmark a client set at ``at`` seconds."""

    at: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Audio from ``start`` to ``end`` seconds that no provider heard; the recording has it."""

    start: float
    end: float
    channel: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """How a session ended.

    ``duration`` is seconds of audio received, ``reason`` why it stopped (``"client"``,
    ``"shutdown"``, …), ``recording`` whether its audio is in the recording store. ``usage`` holds
    counters such as ``audio_s``, and ``deepgram.sent_s`` for what one provider was given. What is not
    None in ``metadata`` replaces what ``begin`` stored.
    """

    state: SessionState
    ended_at: float
    duration: float
    reason: str
    recording: bool
    provider: str | None = None
    model: str | None = None
    language: str | None = None
    metadata: Mapping[str, Scalar] | None = None
    marks: Sequence[Mark] = ()
    gaps: Sequence[Gap] = ()
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An utterance that matches a search; ``snippet`` marks the match with ``\\x02`` and ``\\x03``.

    ``start`` is seconds into the session.
    """

    utterance: int
    start: float
    snippet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A row of the list of sessions: start, end (None while it runs) and counts.

    ``preview`` is the first words, ``speakers`` the names people gave to speaker labels, ``hits``
    the first utterances that match when the list was searched (three at most).
    """

    start: SessionStart
    end: SessionEnd | None
    utterances: int
    words: int
    preview: str = ""
    speakers: Mapping[str, str] = field(default_factory=dict)
    hits: Sequence[Hit] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChange:
    """What to change of a stored session; None leaves a thing as it is.

    An empty ``title`` removes it. ``speakers`` maps labels to names and ``metadata`` keys to values;
    both are merged into what is there, a None in them removes the entry (RFC 7396). ``recording``
    says whether the recording store still has the audio.
    """

    title: str | None = None
    speakers: Mapping[str, str | None] | None = None
    metadata: Mapping[str, Scalar] | None = None
    recording: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Everything stored of one session."""

    session: StoredSession
    utterances: Sequence[Utterance]

    @property
    def text(self) -> str:
        """All utterances, joined with one space."""
        return " ".join(u.text for u in self.utterances if u.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuery:
    """Which sessions to list: newest first, ``limit`` of them after the page ``cursor`` ended.

    ``since`` and ``until`` bound ``created_at`` (seconds since the epoch, until is exclusive).
    ``text`` keeps sessions with an utterance that has all its words, in any order, accents and case
    folded; words in double quotes stand next to each other, the last word may be the beginning of a
    longer one, and nothing in it is query syntax. A text without a word matches nothing. ``metadata``
    keeps sessions that have all these values, ``owner`` those opened with this API key.
    """

    limit: int = 50
    cursor: str | None = None
    text: str | None = None
    since: float | None = None
    until: float | None = None
    provider: str | None = None
    language: str | None = None
    state: SessionState | None = None
    owner: str | None = None
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPage:
    """A page of sessions; ``cursor`` fetches the next one, None at the end."""

    sessions: Sequence[StoredSession]
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUsage:
    """What the sessions that ended on a day (``YYYY-MM-DD``, UTC) with one ``owner`` add up to.

    ``usage`` sums each counter of ``SessionEnd.usage``.
    """

    day: str
    owner: str | None
    sessions: int
    usage: Mapping[str, float]


class TranscriptStore(ABC):
    """Keeps what was said. Every call may be repeated: the host retries after a ``StoreError``."""

    async def open(self) -> None:
        """Connect and bring the schema up to date; raise StoreError with what to do if that fails."""

    async def close(self) -> None:
        """Finish what was accepted and let go of every resource."""

    async def check(self) -> None:
        """Return when the store can write, else raise StoreError."""

    @abstractmethod
    async def begin(self, session: SessionStart) -> None:
        """Store a new session; a second call with the same id changes nothing."""

    @abstractmethod
    async def add_utterance(self, session_id: str, utterance: Utterance) -> None:
        """Store an utterance, or replace the one with the same number."""

    @abstractmethod
    async def end(self, session_id: str, end: SessionEnd) -> None:
        """Store how the session ended; the last call counts."""

    @abstractmethod
    async def get(self, session_id: str) -> Conversation | None:
        """Return everything stored of a session, utterances in order of time, or None."""

    async def find(self, session_id: str) -> StoredSession | None:
        """Return a session without its utterances, or None."""
        conversation = await self.get(session_id)
        return None if conversation is None else conversation.session

    @abstractmethod
    async def list(self, query: SessionQuery) -> SessionPage:
        """Return a page of sessions, newest first, with their hits if ``query`` has a text.

        Every session is on one page only, also while others are added; RequestError for a cursor
        that is not one of this list.
        """

    @abstractmethod
    async def update(self, session_id: str, change: SessionChange) -> bool:
        """Change what people may change of a session; False if there is none."""

    @abstractmethod
    async def delete(self, session_id: str) -> bool:
        """Delete a session, its utterances and their index entries; False if there was none."""

    @abstractmethod
    async def delete_utterances(self, session_id: str) -> bool:
        """Delete what was said, also from the index; the session stays. False if there is none."""

    @abstractmethod
    async def usage(self, since: float, until: float) -> Sequence[DayUsage]:
        """Return what was used by sessions that ended from ``since`` to before ``until``, by day.

        Both are seconds since the epoch. Deleting a session does not change it.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A stored recording: ``size`` in bytes, ``path`` when it is a local file."""

    session_id: str
    size: int
    media_type: str = "audio/wav"
    path: Path | None = None


class RecordingStore(ABC):
    """Keeps the audio of finished sessions as WAV."""

    async def open(self) -> None:
        """Get ready; raise StoreError with what to do if that fails."""

    async def close(self) -> None:
        """Let go of every resource."""

    async def check(self) -> None:
        """Return when the store can write, else raise StoreError."""

    @abstractmethod
    async def put(self, session_id: str, source: Path) -> Recording:
        """Take over the finished WAV file ``source`` (it is gone afterwards).

        A second call for a session whose source is already taken over returns what is stored.
        """

    @abstractmethod
    async def find(self, session_id: str) -> Recording | None:
        """Return the recording of a session, or None."""

    @abstractmethod
    def read(
        self, session_id: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` up to ``stop`` in blocks; StoreError if there is none."""

    @abstractmethod
    async def delete(self, session_id: str) -> bool:
        """Delete a recording; False if there was none."""

    async def older_than(self, instant: float) -> Sequence[str]:
        """Return the sessions whose recordings were put before ``instant`` (epoch), for retention.

        A store that lets old recordings go by itself has none to tell, as here.
        """
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSpec:
    """How a plugin offers a store; ``options`` and ``factory`` as in ``ProviderSpec``.

    Relative paths in options typed ``pathlib.Path`` are resolved against the configuration file.
    """

    name: str
    factory: Callable[[Any], Any]
    options: type[BaseModel] = Options
    summary: str = ""
