"""Hearing a stored recording again where no provider heard it the first time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from sttgate.audio import WAV_HEADER_BYTES, AudioFormat, Converter
from sttgate.errors import SttgateError
from sttgate.events import Word
from sttgate.gateway import Gateway
from sttgate.session import entries
from sttgate.session.params import SessionParams
from sttgate.stores import Conversation, Gap, SessionEnd, Utterance


class RetranscriptionError(SttgateError):
    """A session cannot be heard again; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Retranscribed:
    """What became of it: gaps filled, gaps that are still there, utterances added."""

    filled: int
    left: int
    utterances: int


async def retranscribe(
    gateway: Gateway, session_id: str, provider: str | None = None
) -> Retranscribed:
    """Fill the gaps of a stored session from its recording, with ``provider`` or the chain.

    Words that are there stay as they are. May be repeated: a gap is closed in the store only after
    its words are.
    """
    conversation = await gateway.transcripts.get(session_id)
    if conversation is None:
        raise RetranscriptionError(f"there is no session {session_id!r}")
    end = conversation.session.end
    if end is None:
        raise RetranscriptionError(f"session {session_id} is still running")
    if await gateway.recordings.find(session_id) is None:
        raise RetranscriptionError(f"session {session_id} has no recording to hear again")
    number = max((u.number for u in conversation.utterances), default=0)
    added, left = 0, list(end.gaps)
    for gap in end.gaps:
        utterances = await _hear(gateway, conversation, gap, provider, number)
        if utterances is None:
            continue
        for utterance in utterances:
            await gateway.transcripts.add_utterance(session_id, utterance)
        number += len(utterances)
        added += len(utterances)
        left.remove(gap)
        await gateway.transcripts.end(session_id, _closed(end, left))
    return Retranscribed(len(end.gaps) - len(left), len(left), added)


def _closed(end: SessionEnd, gaps: list[Gap]) -> SessionEnd:
    healed = not gaps and end.state in ("incomplete", "failed")
    return replace(end, gaps=tuple(gaps), state="completed" if healed else end.state)


async def _hear(
    gateway: Gateway, conversation: Conversation, gap: Gap, provider: str | None, number: int
) -> list[Utterance] | None:
    """Return the utterances in a gap, numbered after ``number``; None if nobody could hear it."""
    start = conversation.session.start
    session = await gateway.open_session(
        SessionParams(
            protocol="retranscription",
            provider=provider,
            format=AudioFormat(start.sample_rate),
            store_transcript=False,
            store_audio=False,
        )
    )
    try:
        async for pcm in _audio(gateway, conversation, gap):
            await session.audio.room()
            session.append(pcm)
    finally:
        session.stop()
    spoken: dict[int, Utterance] = {}
    heard_by: str | None = None
    reader = session.events.reader(0, lambda: None)
    try:
        async for entry in reader.follow():
            match entry:
                case entries.Started() | entries.Provider():
                    heard_by = entry.provider
                case entries.Transcript(is_final=True):
                    place = number + entry.utterance_id
                    spoken[place] = _grown(spoken.get(place), entry, gap, place, heard_by)
                case entries.Gap():
                    return None
                case entries.Stopped():
                    return list(spoken.values())
    finally:
        reader.close()
    raise AssertionError("a session ends with Stopped")


def _grown(
    before: Utterance | None,
    final: entries.Transcript,
    gap: Gap,
    number: int,
    provider: str | None,
) -> Utterance:
    words = tuple(
        Word(
            text=word.word,
            start=gap.start + word.start,
            end=gap.start + word.end,
            confidence=word.confidence,
            speaker=word.speaker,
        )
        for word in (final.words if isinstance(final.words, list) else ())
    )
    return Utterance(
        number=number,
        start=before.start if before else gap.start + final.start,
        end=gap.start + final.end,
        text=f"{before.text} {final.text}" if before else final.text,
        channel=gap.channel,
        speaker=final.speaker,
        language=final.language,
        confidence=final.confidence,
        provider=provider,
        words=(*before.words, *words) if before else words,
    )


async def _audio(gateway: Gateway, conversation: Conversation, gap: Gap) -> AsyncIterator[bytes]:
    """Yield the gap's audio as mono: its channel, or all mixed as the session heard it."""
    start = conversation.session.start
    source = AudioFormat(start.sample_rate, start.channels)
    end = conversation.session.end
    channels = {u.channel for u in conversation.utterances} | {
        g.channel for g in (end.gaps if end else ())
    }
    apart = source.channels > 1 and max(channels, default=0) > 0
    converter = Converter(source, gap.channel if apart else None, source.sample_rate)
    rest = b""
    async for block in gateway.recordings.read(
        start.id,
        WAV_HEADER_BYTES + source.bytes(gap.start),
        WAV_HEADER_BYTES + source.bytes(gap.end),
    ):
        whole = len(rest + block) // source.frame_bytes * source.frame_bytes
        data, rest = (rest + block)[:whole], (rest + block)[whole:]
        if data:
            yield converter.convert(data)
