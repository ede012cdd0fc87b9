"""From a WAV file through a session to what it heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sttgate.cli.doors import Door, OpenDoor
from sttgate.cli.running import in_thread
from sttgate.session.entries import Error, Gap, Stopped, Transcript
from sttgate.wav import open_wav

if TYPE_CHECKING:
    from sttgate.wav import WavFile

_STEP = 0.1  # seconds of audio sent at a time

Progress = Callable[[float, float | None], None]
"""Is told how many seconds have been heard, and of how many, None if nobody knows."""


@dataclass(slots=True)
class Heard:
    """What a session made of a file.

    ``missing``: seconds the file claims to have and has not; ``unheard``: those nobody transcribed.
    ``error`` is the last one; the session may have recovered from it.
    """

    segments: list[Transcript] = field(default_factory=list)
    error: Error | None = None
    unheard: float = 0.0
    stopped: Stopped | None = None
    missing: float = 0.0


async def listen(
    path: Path, open_door: OpenDoor, start: Mapping[str, Any], realtime: bool, progress: Progress
) -> Heard:
    """Return what a session hears in the WAV file at ``path``, standard input if that is ``-``.

    A session that fails is no exception: ``error`` tells, and what was heard before is there.
    Raises WavError, RequestError or ClientError.
    """
    heard = Heard()
    with ExitStack() as stack:
        wav = await in_thread(lambda: stack.enter_context(open_wav(path)))
        opening = open_door(
            sample_rate=wav.format.sample_rate, channels=wav.format.channels, **start
        )
        async with opening as door:
            sending = asyncio.create_task(_send(wav, door, realtime))
            try:
                async for entry in door.events():
                    if isinstance(entry, Transcript):
                        progress(entry.end, wav.seconds)
                        if entry.is_final and entry.text:
                            heard.segments.append(entry)
                    elif isinstance(entry, Error):
                        heard.error = entry
                    elif isinstance(entry, Gap):
                        heard.unheard += entry.end - entry.start
                    elif isinstance(entry, Stopped):
                        heard.stopped = entry
            finally:
                sending.cancel()
                await asyncio.wait({sending})
                failure = None if sending.cancelled() else sending.exception()
            if failure is not None:
                raise failure
        heard.missing = wav.missing
    return heard


async def _send(wav: WavFile, door: Door, realtime: bool) -> None:
    chunks = wav.chunks(_STEP)
    loop = asyncio.get_running_loop()
    due = loop.time()
    try:
        while pcm := await in_thread(lambda: next(chunks, b"")):
            await door.send(pcm)
            due += _STEP
            if realtime:
                await asyncio.sleep(due - loop.time())
    finally:
        await door.stop()
