"""``sttgate sessions``: stored conversations, read from the configured store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sttgate.cli.options import config_option, json_option, read_config
from sttgate.cli.running import run

if TYPE_CHECKING:
    from sttgate.stores import Conversation, StoredSession, TranscriptStore


@click.group()
def sessions() -> None:
    """List and show stored conversations."""


@sessions.command("list")
@click.option("-n", "--number", default=20, show_default=True, type=click.IntRange(1, 1000))
@json_option
@config_option
def list_(number: int, as_json: bool, config_file: Path | None) -> None:
    """List the newest conversations.

    \b
    Example:
      sttgate sessions list -n 5
    """
    run(_list(config_file, number, as_json))


@sessions.command()
@click.argument("session", metavar="ID")
@json_option
@config_option
def show(session: str, as_json: bool, config_file: Path | None) -> None:
    """Show a conversation; ID may be its first characters, or 'latest'.

    \b
    Examples:
      sttgate sessions show latest
      sttgate sessions show 3f2a --json
    """
    run(_show(config_file, session, as_json))


@sessions.command()
@click.argument("session", metavar="ID")
@click.option("--provider", metavar="NAME", help="A provider of the configuration.")
@config_option
def retranscribe(session: str, provider: str | None, config_file: Path | None) -> None:
    """Hear a recording again where no provider heard it, and add the words.

    \b
    Example:
      sttgate sessions retranscribe latest --provider moonshine
    """
    left = run(_retranscribe(config_file, session, provider))
    if left:
        click.get_current_context().exit(4)


async def _retranscribe(config_file: Path | None, session: str, provider: str | None) -> int:
    """Return how many gaps are left."""
    from sttgate.gateway import Gateway
    from sttgate.retranscription import retranscribe

    gateway = Gateway.from_config(read_config(config_file))
    await gateway.open()
    try:
        session_id = await _find(gateway.transcripts, session)
        done = await retranscribe(gateway, session_id, provider)
    finally:
        await gateway.close()
    if not done.filled and not done.left:
        click.echo("Nothing is missing.", err=True)
    else:
        click.echo(
            f"{done.filled} gaps filled with {done.utterances} utterances; {done.left} left.",
            err=True,
        )
    return done.left


async def _list(config_file: Path | None, number: int, as_json: bool) -> None:
    from sttgate.stores import SessionQuery

    async with _open_store(config_file) as store:
        page = await store.list(SessionQuery(limit=number))
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(list(page.sessions)).decode())
        return
    if not page.sessions:
        click.echo("No conversations yet.", err=True)
    for stored in page.sessions:
        click.echo(_line(stored))


async def _show(config_file: Path | None, session: str, as_json: bool) -> None:
    async with _open_store(config_file) as store:
        conversation = await store.get(await _find(store, session))
    if conversation is None:
        raise click.ClickException(f"There is no conversation {session!r}.")
    if as_json:
        from sttgate.api.models import Session

        click.echo(Session.of(conversation, live=False).model_dump_json())
        return
    _print(conversation)


async def _find(store: TranscriptStore, prefix: str) -> str:
    """Return the id that ``prefix`` stands for, looking through the stored sessions, newest first."""
    from sttgate.stores import SessionQuery

    matches: list[str] = []
    cursor: str | None = None
    while True:
        page = await store.list(SessionQuery(limit=1 if prefix == "latest" else 500, cursor=cursor))
        ids = [stored.start.id for stored in page.sessions]
        matches += ids if prefix == "latest" else [id_ for id_ in ids if id_.startswith(prefix)]
        cursor = page.cursor
        if cursor is None or prefix == "latest" or prefix in matches:
            break
    if prefix in matches:
        return prefix
    if prefix == "latest" and not matches:
        raise click.ClickException("There are no conversations yet.")
    if len(matches) != 1:
        found = f"{len(matches)} conversations start" if matches else "No conversation starts"
        raise click.ClickException(f"{found} with {prefix!r}; see: sttgate sessions list")
    return matches[0]


def _line(stored: StoredSession) -> str:
    start, end = stored.start, stored.end
    when = datetime.fromtimestamp(start.created_at).strftime("%Y-%m-%d %H:%M:%S")
    state = end.state if end else "active"
    length = f"{end.duration:7.1f} s" if end else "        -"
    return f"{start.id}  {when}  {length}  {state:11}  {stored.preview}"


def _print(conversation: Conversation) -> None:
    click.echo(_line(conversation.session), err=True)
    for utterance in conversation.utterances:
        minutes, seconds = divmod(utterance.start, 60)
        click.echo(f"[{minutes:02.0f}:{seconds:04.1f}] {utterance.text}")


@asynccontextmanager
async def _open_store(config_file: Path | None) -> AsyncIterator[TranscriptStore]:
    section = read_config(config_file).transcripts
    store: TranscriptStore = section.spec.factory(section.options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
