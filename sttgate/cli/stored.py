"""What the commands about stored conversations share: the stores, what ID means, how a session looks."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sttgate.cli.options import read_config

if TYPE_CHECKING:
    from sttgate.stores import RecordingStore, StoredSession, TranscriptStore

_MATCH = re.compile("\x02([^\x03]*)\x03?")


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of a configuration, open; ``spool`` is the folder of sessions that still run."""

    transcripts: TranscriptStore
    recordings: RecordingStore
    spool: Path


@asynccontextmanager
async def open_stores(config_file: Path | None) -> AsyncIterator[Stores]:
    """Open both stores for as long as the block runs."""
    config = read_config(config_file)
    recordings: RecordingStore = config.recordings.spec.factory(config.recordings.options)
    async with AsyncExitStack() as stack:
        transcripts = await stack.enter_async_context(open_transcripts(config_file))
        await recordings.open()
        stack.push_async_callback(recordings.close)
        yield Stores(transcripts, recordings, config.spool.path)


@asynccontextmanager
async def open_transcripts(config_file: Path | None) -> AsyncIterator[TranscriptStore]:
    """Open the transcript store for as long as the block runs."""
    section = read_config(config_file).transcripts
    store: TranscriptStore = section.spec.factory(section.options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def find(store: TranscriptStore, name: str) -> StoredSession:
    """Return the session that ``name`` means: its id, the beginning of one, or ``latest``."""
    from sttgate.conversations import sessions
    from sttgate.stores import SessionQuery

    if name == "latest":
        page = await store.list(SessionQuery(limit=1))
        if not page.sessions:
            raise click.ClickException("There are no conversations yet.")
        return page.sessions[0]
    if (exact := await store.find(name)) is not None:
        return exact
    async with aclosing(sessions(store, SessionQuery(limit=500))) as stored:
        matches = [session async for session in stored if session.start.id.startswith(name)]
    if len(matches) != 1:
        found = f"{len(matches)} conversations start" if matches else "No conversation starts"
        raise click.ClickException(f"{found} with {name!r}; see: sttgate sessions list")
    return matches[0]


def summary(stored: StoredSession) -> str:
    """Return a line that tells a session from others."""
    from sttgate.exports.characters import clean

    start, end = stored.start, stored.end
    when = datetime.fromtimestamp(start.created_at).strftime("%Y-%m-%d %H:%M:%S")
    state = end.state if end else "active"
    length = f"{end.duration:7.1f} s" if end else "        -"
    return f"{start.id}  {when}  {length}  {state:11}  {clean(stored.preview)}"


def snippet_parts(snippet: str) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of a snippet, and whether each is what was searched for."""
    at = 0
    for match in _MATCH.finditer(snippet):
        yield snippet[at : match.start()], False
        yield match[1], True
        at = match.end()
    yield snippet[at:], False


def highlight(snippet: str) -> str:
    """Return a snippet for a terminal: with the matches in bold, and nothing else that acts on it."""
    bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return "".join(
        click.style(_printable(text), bold=True) if hit and bold else _printable(text)
        for text, hit in snippet_parts(snippet)
    )


def position(seconds: float) -> str:
    """Return a place in a session as ``[MM:SS.s]``."""
    minutes, seconds = divmod(seconds, 60)
    return f"[{minutes:02.0f}:{seconds:04.1f}]"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
