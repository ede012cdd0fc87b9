"""What was heard, in the formats of ``sttgate transcribe`` and ``sttgate listen``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sttgate.session.entries import Stopped, Transcript
    from sttgate.stores import Conversation

ENDINGS: Mapping[str, str] = {"txt": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}
"""By format."""


def render(
    format_: str, finals: Sequence[Transcript], stopped: Stopped | None, file: str | None = None
) -> str:
    """Return the finals of a session as ``txt`` (a line for each utterance), ``json`` or subtitles.

    Only ``txt`` can do without ``stopped``.
    """
    if format_ == "txt":
        utterances = groupby(finals, key=lambda final: final.utterance_id)
        return "".join(" ".join(final.text for final in said) + "\n" for _, said in utterances)
    assert stopped is not None
    if format_ == "json":
        return _json(finals, stopped, file)
    from sttgate.exports import export

    return export(_conversation(finals, stopped), format_).text


def _json(finals: Sequence[Transcript], stopped: Stopped, file: str | None) -> str:
    import msgspec

    content = {
        **({} if file is None else {"file": file}),
        "session_id": stopped.session_id,
        "duration_s": stopped.duration_s,
        "provider": stopped.provider,
        "text": stopped.full_transcription,
        "segments": finals,
        "links": stopped.links,
    }
    return f"{msgspec.json.encode(content).decode()}\n"


def _conversation(finals: Sequence[Transcript], stopped: Stopped) -> Conversation:
    """Return what subtitles are made of; the rest of the session does not show in them."""
    from sttgate.session.storing import grow
    from sttgate.stores import Conversation, SessionStart, StoredSession, Utterance

    utterances: dict[int, Utterance] = {}
    for final in finals:
        number = final.utterance_id
        utterances[number] = grow(utterances.get(number), final, stopped.provider)
    start = SessionStart(
        id=stopped.session_id, created_at=0.0, protocol="native/2", sample_rate=0, channels=1
    )
    session = StoredSession(start=start, end=None, utterances=len(utterances), words=stopped.words)
    return Conversation(session=session, utterances=tuple(utterances.values()))
