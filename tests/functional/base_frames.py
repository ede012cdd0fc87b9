"""The frames of protocol 1, spelled out byte for byte."""

from __future__ import annotations

import json
from uuid import UUID

UTTERANCE_END = '{"event":"utterance_end","text":""}'


def transcript(text: str, *, final: bool) -> str:
    return f'{{"event":"transcript","text":"{text}","is_final":{"true" if final else "false"}}}'


def stopped(session_id: str, text: str = "") -> str:
    return (
        '{"event":"stopped","message":"STT session ended.",'
        f'"session_id":"{session_id}","full_transcription":"{text}"}}'
    )


def session_id_of(frame: str) -> str:
    session_id: str = json.loads(frame)["session_id"]
    assert str(UUID(session_id)) == session_id
    return session_id
