"""What the API says about sessions, providers and use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sttgate import stores
from sttgate.api.instants import Instant, instant
from sttgate.api.routing import PREFIX
from sttgate.stores import Conversation, Scalar, SessionState, StoredSession
from sttgate.uploads.decoder import can_decode
from sttgate.uploads.uploads import Uploads

Seconds = Annotated[float, AfterValidator(lambda value: round(value, 3))]
"""A time in audio."""

_MARKED = re.compile("\x02([^\x03]*)\x03?")


class AnswerModel(BaseModel):
    """Base of answers: what stands below a field describes it."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class SnippetPart(AnswerModel):
    """A piece of a snippet; a `hit` is what was searched for."""

    text: str
    hit: bool


class Hit(AnswerModel):
    """An utterance that was searched for."""

    utterance: int
    """Its number."""
    start: Seconds
    """Where it begins, in seconds."""
    snippet: list[SnippetPart]
    """What was said around the hit. It is text, never markup."""

    @classmethod
    def of(cls, hit: stores.Hit) -> Self:
        """Return a hit of a store."""
        return cls(
            utterance=hit.utterance, start=hit.start, snippet=list(_snippet_parts(hit.snippet))
        )


class SessionFacts(AnswerModel):
    """What a session is, apart from what was said in it."""

    id: str
    title: str | None
    state: SessionState
    """`incomplete`: something was not recognised, or the client went away; `interrupted`: by a crash."""
    reason: str | None
    """Why it ended: `client`, `shutdown`, `idle`, `max_duration` or `provider_error`."""
    created_at: Instant
    ended_at: Instant | None
    duration: Seconds | None
    """Seconds of audio, once it has ended."""
    protocol: str
    """What the client spoke, such as `native/2`."""
    provider: str | None
    model: str | None
    language: str | None
    sample_rate: int
    """In Hz."""
    channels: int
    recording: bool
    """Whether there is audio of it."""
    live: bool
    """Whether it still runs, in this process."""
    words: int
    """Their number."""
    preview: str
    """The first words."""
    client_ref: str | None
    """What the client calls it."""
    metadata: dict[str, Scalar]
    speakers: dict[str, str]
    """Names of speakers, by their labels."""


class SessionSummary(SessionFacts):
    """A session without what was said in it."""

    utterances: int
    """Their number."""
    hits: list[Hit] | None = Field(None, exclude_if=lambda hits: hits is None)
    """The first utterances that were searched for; only in the answer to a search."""

    @classmethod
    def of(cls, session: StoredSession, *, live: bool, searched: bool = False) -> Self:
        """Return a session of a store; ``searched``: with its hits."""
        return cls(
            **_facts(session, live),
            utterances=session.utterances,
            hits=[Hit.of(hit) for hit in session.hits] if searched else None,
        )


class SessionList(AnswerModel):
    """A page of sessions, newest first."""

    sessions: list[SessionSummary]
    next_cursor: str | None
    """Give it as `cursor` to get the next page; null on the last one."""


class Word(AnswerModel):
    """A word that was recognised; times are seconds into the session."""

    text: str
    start: Seconds
    end: Seconds
    confidence: float | None
    """From 0 to 1."""
    speaker: str | None
    """A label."""


class Utterance(AnswerModel):
    """What was said between two pauses; times are seconds into the session."""

    number: int
    """Counts from 1."""
    start: Seconds
    end: Seconds
    text: str
    channel: int
    """Counts from 0."""
    speaker: str | None
    """A label."""
    language: str | None
    confidence: float | None
    """From 0 to 1."""
    provider: str | None
    """Who recognised it."""
    complete: bool
    """Whether more may be added to it."""
    words: list[Word]

    @classmethod
    def of(cls, utterance: stores.Utterance) -> Self:
        """Return an utterance of a store."""
        return cls(
            number=utterance.number,
            start=utterance.start,
            end=utterance.end,
            text=utterance.text,
            channel=utterance.channel,
            speaker=utterance.speaker,
            language=utterance.language,
            confidence=utterance.confidence,
            provider=utterance.provider,
            complete=utterance.complete,
            words=[
                Word(
                    text=word.text,
                    start=word.start,
                    end=word.end,
                    confidence=word.confidence,
                    speaker=word.speaker,
                )
                for word in utterance.words
            ],
        )


class Mark(AnswerModel):
    """A bookmark the client set, `at` seconds into the session."""

    at: Seconds
    label: str


class Gap(AnswerModel):
    """Audio that no provider heard, in seconds into the session; the recording has it."""

    start: Seconds
    end: Seconds
    channel: int


class Links(AnswerModel):
    """Where there is more of a session; null for what there is not."""

    audio: str | None
    peaks: str | None
    events: str | None


class Session(SessionFacts):
    """A session with everything that was said in it."""

    text: str
    """All utterances, with spaces between them."""
    utterances: list[Utterance]
    """In order of time."""
    marks: list[Mark]
    gaps: list[Gap]
    usage: dict[str, float]
    """Seconds: `audio_s` was received, `PROVIDER.sent_s` given to a provider, and the like."""
    links: Links

    @classmethod
    def of(cls, conversation: Conversation, *, live: bool) -> Self:
        """Return a conversation of a store; a long one takes a while, so call it in a thread."""
        session = conversation.session
        end = session.end
        address = f"{PREFIX}/sessions/{session.start.id}"
        recorded = end is not None and end.recording
        return cls(
            **_facts(session, live),
            text=conversation.text,
            utterances=[Utterance.of(utterance) for utterance in conversation.utterances],
            marks=[Mark(at=mark.at, label=mark.label) for mark in end.marks] if end else [],
            gaps=[Gap(start=g.start, end=g.end, channel=g.channel) for g in end.gaps]
            if end
            else [],
            usage=dict(end.usage) if end else {},
            links=Links(
                audio=f"{address}/audio" if recorded else None,
                peaks=f"{address}/peaks" if recorded else None,
                events=f"{address}/events" if live else None,
            ),
        )


def _facts(session: StoredSession, live: bool) -> dict[str, Any]:
    """Return the fields of ``SessionFacts``."""
    start, end = session.start, session.end
    # Either may know them, and the end knows better.
    provider = (end and end.provider) or start.provider
    model = (end and end.model) or start.model
    language = (end and end.language) or start.language
    metadata = end.metadata if end and end.metadata is not None else start.metadata
    return {
        "id": start.id,
        "title": start.title,
        "state": end.state if end else "active",
        "reason": end.reason if end else None,
        "created_at": instant(start.created_at),
        "ended_at": instant(end.ended_at) if end else None,
        "duration": end.duration if end else None,
        "protocol": start.protocol,
        "provider": provider,
        "model": model,
        "language": language,
        "sample_rate": start.sample_rate,
        "channels": start.channels,
        "recording": end.recording if end else False,
        "live": live,
        "words": session.words,
        "preview": session.preview,
        "client_ref": start.client_ref,
        "metadata": dict(metadata),
        "speakers": dict(session.speakers),
    }


def _snippet_parts(snippet: str) -> Iterator[SnippetPart]:
    """Yield the pieces of a snippet of a store, in which \\x02 and \\x03 stand around each hit."""
    at = 0
    for match in _MARKED.finditer(snippet):
        if match.start() > at:
            yield SnippetPart(text=snippet[at : match.start()], hit=False)
        yield SnippetPart(text=match[1], hit=True)
        at = match.end()
    if at < len(snippet):
        yield SnippetPart(text=snippet[at:], hit=False)


class UploadQueue(AnswerModel):
    """What files are taken, and how many are here."""

    max_bytes: int
    """How large a file may be."""
    max_seconds: float
    """How long its audio may be."""
    formats: Literal["wav", "any"]
    """`wav`: the operator has not installed the decoder for others."""
    at_once: int
    """How many are transcribed at the same time."""
    running: int
    """How many are being transcribed."""
    waiting: int
    """How many arrive, or wait for their turn."""
    full: bool
    """Whether one more would be refused."""


def describe_queue(uploads: Uploads) -> UploadQueue:
    """Return the queue of uploads as the API shows it."""
    return UploadQueue(
        max_bytes=uploads.max_bytes,
        max_seconds=60 * uploads.config.max_minutes,
        formats="any" if can_decode() else "wav",
        at_once=uploads.config.at_once,
        running=uploads.running,
        waiting=uploads.waiting,
        full=uploads.full,
    )
