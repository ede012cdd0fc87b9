"""What a crash left in the spool becomes a session again, is settled, stored and done with."""

from __future__ import annotations

import structlog

from sttgate.audio import WAV_HEADER_BYTES
from sttgate.session import entries
from sttgate.session.event_log import read_entries
from sttgate.session.params import SessionParams, load_params
from sttgate.session.session import Past
from sttgate.session.spool import Spool, SpoolFolder
from sttgate.session.utterances import SaidBefore

log = structlog.get_logger(__name__)


async def reopen(spool: Spool, session_id: str) -> tuple[SessionParams, SpoolFolder, Past] | None:
    """Claim a folder in the spool and read how far its session had come.

    None when another process has it. A folder that tells nothing (the crash came before its first
    byte) is removed.
    """
    folder = await spool.claim(session_id)
    if folder is None:
        return None
    params = load_params(folder.meta)
    heard = folder.audio.size > WAV_HEADER_BYTES
    if params is None or not heard:
        if heard:
            # The audio is worth more than a tidy spool: leave it, say where it is.
            log.error("spool_unreadable", path=str(folder.path))
            await spool.run(folder.close)
            return None
        await spool.remove(folder)
        await spool.run(folder.close)
        return None
    try:
        past = await spool.run(lambda: _mend(folder, params))
    except BaseException:
        await spool.run(folder.close)
        raise
    return params, folder, past


def _mend(folder: SpoolFolder, params: SessionParams) -> Past:
    """Cut torn ends off both logs and read the events; blocks."""
    frame = params.format.frame_bytes
    folder.audio.truncate(folder.audio.size - (folder.audio.size - WAV_HEADER_BYTES) % frame)
    past, complete = Past(), 0
    for entry, end in read_entries(folder.events):
        complete = end
        _note(past, entry)
    folder.events.truncate(complete)
    return past


def _note(past: Past, entry: entries.AnyEntry) -> None:
    past.last_seq = entry.seq
    if isinstance(entry, entries.Transcript):
        said = past.channels.setdefault(entry.channel, SaidBefore())
        if said.open is None:
            said.open, said.start = entry.utterance_id, entry.start
        said.settled = entry.end
        past.words += len(entry.text.split())
        past.texts.append(entry.text)
        past.last_utterance = max(past.last_utterance, entry.utterance_id)
    elif isinstance(entry, entries.UtteranceEnd):
        past.channels.setdefault(entry.channel, SaidBefore()).open = None
        past.utterances += 1
