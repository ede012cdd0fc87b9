"""Conversations that lie in the stores of a server, for the pages that find and show them."""

from __future__ import annotations

import time
import wave
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sttgate.events import Word
from sttgate.gateway import Gateway
from sttgate.stores import Gap, Mark, SessionEnd, SessionStart, SessionState, Utterance
from tests.functional.native import Server, until

RATE = 8_000
WORD = 0.4  # seconds from the beginning of a word to that of the next


@dataclass(frozen=True, slots=True)
class Archive:
    """A server, and a folder for what is put into its stores."""

    server: Server
    folder: Path

    async def keep(self, session_id: str, *utterances: Utterance, **options: Any) -> str:
        """Store a conversation, as ``keep`` below does."""
        return await keep(self.server.gateway, self.folder, session_id, utterances, **options)

    async def deserted(self) -> None:
        """Return once nobody is connected any more."""
        server = self.server.client.server.runner.server
        assert server is not None
        await until(lambda: not server.connections)


def said(
    number: int,
    text: str,
    start: float,
    *,
    speaker: str | None = None,
    provider: str = "echo",
    timed: bool = True,
    unsure: Collection[str] = (),
    language: str | None = None,
) -> Utterance:
    """Return an utterance whose words come every 0.4 s; ``unsure`` ones have a low confidence."""
    texts = text.split()
    words = tuple(
        Word(
            text=word.strip(".,?!"),  # as engines do whose words have no punctuation
            start=start + WORD * place,
            end=start + WORD * (place + 1),
            confidence=0.3 if word in unsure else 0.98,
            speaker=speaker,
        )
        for place, word in enumerate(texts)
    )
    return Utterance(
        number=number,
        start=start,
        end=start + WORD * len(texts),
        text=text,
        speaker=speaker,
        provider=provider,
        language=language,
        words=words if timed else (),
    )


async def keep(
    gateway: Gateway,
    folder: Path,
    session_id: str,
    utterances: Sequence[Utterance] = (),
    *,
    seconds: float | None = None,
    created_at: float | None = None,
    state: SessionState | None = "completed",
    recording: bool = True,
    title: str | None = None,
    provider: str | None = "echo",
    language: str | None = None,
    owner: str | None = None,
    metadata: Mapping[str, str] | None = None,
    marks: Sequence[Mark] = (),
    gaps: Sequence[Gap] = (),
) -> str:
    """Store a conversation of so many ``seconds``, an hour ago; ``state`` None: it has not ended."""
    length = seconds or max((utterance.end for utterance in utterances), default=1.0) + 1.0
    began = time.time() - 3600 if created_at is None else created_at
    await gateway.transcripts.begin(
        SessionStart(
            id=session_id,
            created_at=began,
            protocol="native/2",
            sample_rate=RATE,
            channels=1,
            title=title,
            provider=provider,
            language=language,
            owner=owner,
            metadata=metadata or {},
        )
    )
    for utterance in utterances:
        await gateway.transcripts.add_utterance(session_id, utterance)
    if recording:
        await gateway.recordings.put(session_id, _write(folder / f"{session_id}.wav", length))
    if state is not None:
        await gateway.transcripts.end(
            session_id,
            SessionEnd(
                state=state,
                ended_at=began + length,
                duration=length,
                reason="client",
                recording=recording,
                marks=marks,
                gaps=gaps,
                usage={"audio_s": length, "echo.sent_s": length},
            ),
        )
    return session_id


def _write(path: Path, seconds: float) -> Path:
    """Write a WAV file of tones that swell and fade, as speech does; return its path."""
    at = np.arange(round(seconds * RATE)) / RATE
    swell = np.abs(np.sin(at * 2.1) * np.sin(at * 0.37 + 0.5) * np.sin(at * 7.9))
    samples = (np.sin(2 * np.pi * 220 * at) * swell * 16_000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return path
