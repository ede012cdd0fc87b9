"""Conversations to export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sttgate.events import Word
from sttgate.stores import Conversation, SessionEnd, SessionStart, StoredSession, Utterance


def say(
    text: str,
    start: float = 0.0,
    rate: float = 2.5,
    *,
    pauses: Mapping[int, float] | None = None,
    speaker: str | None = None,
    channel: int = 0,
    timed: bool = True,
) -> Utterance:
    """Return an utterance of ``rate`` words a second, with ``pauses`` in seconds before some words."""
    at, words = start, []
    for number, word in enumerate(text.split()):
        at += (pauses or {}).get(number, 0.0)
        words.append(Word(text=word, start=at, end=at + 0.9 / rate, speaker=speaker))
        at += 1 / rate
    return Utterance(
        number=1,
        start=start,
        end=words[-1].end,
        text=text,
        speaker=speaker,
        channel=channel,
        words=tuple(words) if timed else (),
    )


def conversation(
    utterances: Iterable[Utterance],
    *,
    speakers: Mapping[str, str] | None = None,
    end: SessionEnd | None = None,
) -> Conversation:
    """Return a conversation of these utterances."""
    said: Sequence[Utterance] = tuple(utterances)
    start = SessionStart(
        id="3f2a", created_at=1.7e9, protocol="native/2", sample_rate=16_000, channels=1
    )
    session = StoredSession(
        start=start,
        end=end,
        utterances=len(said),
        words=sum(len(utterance.words) for utterance in said),
        speakers=speakers or {},
    )
    return Conversation(session=session, utterances=said)
