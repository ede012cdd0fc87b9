"""Whole sessions on a gateway without a wire, to be run in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sttgate.provider import Provider
from sttgate.session import entries
from sttgate.session.params import SessionParams
from sttgate.session.session import Session
from tests.faults.engines.parrot import WORD_SECONDS, Parrot, ParrotOptions
from tests.faults.speech import WORD_BYTES, Message, pcm_of, plain, speech
from tests.session.engines import House, follow_until, open_house


def parrot(**options: object) -> Parrot:
    """Return a provider with these options."""
    return Parrot(ParrotOptions.model_validate(options))


@dataclass
class Heard:
    """What a session left behind."""

    session: Session
    house: House
    log: list[Message]
    took: float
    """Seconds from the end of the audio to ``Stopped``."""

    @property
    def recording(self) -> bytes:
        """The recorded samples."""
        return pcm_of(self.house.recordings.files[self.session.id])

    def of(self, event: str) -> list[Message]:
        """Return the messages of one kind."""
        return [m for m in self.log if m["event"] == event]


async def hear(
    folder: Path,
    audio: Sequence[int] | bytes,
    *providers: Provider,
    finalize_after: Collection[int] = (),
    in_step: Callable[[Session], None] = lambda session: None,
    pause_after: Collection[int] = (),
    pause: float = 60.0,
    step: int = 1,
) -> Heard:
    """Speak in real time into a session whose chain is ``providers``; ``audio``: numbers, or PCM.

    ``finalize_after``, ``pause_after``: after how many words to finalize, or to send nothing for
    ``pause`` seconds. ``in_step`` is called each time after ``step`` words were sent.
    """
    loop = asyncio.get_running_loop()
    async with open_house(folder, *providers) as house:
        session = await house.gateway.open_session(SessionParams(protocol="test"))
        following = asyncio.create_task(follow_until(session, entries.Stopped, timeout=100_000))
        pcm = audio if isinstance(audio, bytes) else speech(audio)
        for word in range(0, len(pcm) // WORD_BYTES, step):
            await session.audio.room()
            session.append(pcm[word * WORD_BYTES : (word + step) * WORD_BYTES])
            if word + step in finalize_after:
                session.finalize(word)
            in_step(session)
            await asyncio.sleep(pause if word + step in pause_after else step * WORD_SECONDS)
        stopped_at = loop.time()
        session.stop()
        log = plain(await following)
        return Heard(session, house, log, loop.time() - stopped_at)
