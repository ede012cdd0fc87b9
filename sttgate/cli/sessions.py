"""``sttgate sessions``: stored conversations, read from the configured store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sttgate.cli.archive import backup, delete, export, path
from sttgate.cli.moments import since_option
from sttgate.cli.options import config_option, json_option, read_config
from sttgate.cli.running import run
from sttgate.cli.stored import (
    find,
    highlight,
    open_transcripts,
    position,
    snippet_parts,
    summary,
)

if TYPE_CHECKING:
    from sttgate.stores import Conversation, StoredSession

_PAGE = 100  # sessions read at a time


@click.group()
def sessions() -> None:
    """List, search, show, export and delete stored conversations.

    ID is that of a conversation, the first characters of it, or 'latest'.
    """


for _command in (export, delete, path, backup):
    sessions.add_command(_command)


def _listing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a command that lists sessions."""
    for option in (
        config_option,
        click.option("--nl", "as_lines", is_flag=True, help="Print a line of JSON for each."),
        json_option,
        since_option,
        click.option(
            "-n", "--number", default=20, show_default=True, type=click.IntRange(1), help="At most."
        ),
    ):
        command = option(command)
    return command


@sessions.command("list")
@click.option("-q", "--search", "text", metavar="TEXT", help="Only those in which this was said.")
@_listing
def list_(
    text: str | None,
    number: int,
    since: float | None,
    as_json: bool,
    as_lines: bool,
    config_file: Path | None,
) -> None:
    """List the newest conversations.

    \b
    Examples:
      sttgate sessions list -n 5
      sttgate sessions list --since 2d -q invoice
      sttgate sessions list --nl | jq .title
    """
    run(_list(config_file, number, text, since, as_json, as_lines))


@sessions.command()
@click.argument("text", nargs=-1, required=True, metavar="TEXT...")
@_listing
def search(
    text: tuple[str, ...],
    number: int,
    since: float | None,
    as_json: bool,
    as_lines: bool,
    config_file: Path | None,
) -> None:
    """Find what was said, the newest conversations first.

    All words have to be in one utterance, the last one may be the beginning of a longer word; words
    in double quotes stand next to each other.

    \b
    Examples:
      sttgate sessions search delivery date
      sttgate sessions search '"next tuesday"' --since 4w
    """
    run(_list(config_file, number, " ".join(text), since, as_json, as_lines))


@sessions.command()
@click.argument("session", metavar="ID")
@json_option
@config_option
def show(session: str, as_json: bool, config_file: Path | None) -> None:
    """Show a conversation; --json prints what 'export -f json' does.

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
        stored = await find(gateway.transcripts, session)
        done = await retranscribe(gateway, stored.start.id, provider)
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


async def _list(
    config_file: Path | None,
    number: int,
    text: str | None,
    since: float | None,
    as_json: bool,
    as_lines: bool,
) -> None:
    import msgspec

    from sttgate.conversations import sessions
    from sttgate.stores import SessionQuery

    query = SessionQuery(limit=min(number, _PAGE), text=text, since=since)
    found: list[dict[str, Any]] = []
    count = 0
    async with (
        open_transcripts(config_file) as store,
        aclosing(sessions(store, query)) as stored,
    ):
        async for session in stored:
            count += 1
            if as_lines:
                click.echo(msgspec.json.encode(_described(session)).decode())
            elif as_json:
                found.append(_described(session))
            else:
                click.echo(summary(session))
                for hit in session.hits:
                    click.echo(f"    {position(hit.start)} {highlight(hit.snippet)}")
            if count == number:
                break
    if as_lines:
        return
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    elif not count and text is None and since is None:
        click.echo("No conversations yet.", err=True)
    elif not count:
        click.echo("No conversation matches.", err=True)


def _described(session: StoredSession) -> dict[str, Any]:
    """Return a session as an object of JSON, with its hits if it was searched for."""
    from sttgate.exports.json import facts

    hits = [
        {
            "utterance": hit.utterance,
            "start": hit.start,
            "snippet": [
                {"text": text, "hit": is_hit} for text, is_hit in snippet_parts(hit.snippet) if text
            ],
        }
        for hit in session.hits
    ]
    return {
        **facts(session),
        "utterances": session.utterances,
        "preview": session.preview,
        **({"hits": hits} if hits else {}),
    }


async def _show(config_file: Path | None, session: str, as_json: bool) -> None:
    async with open_transcripts(config_file) as store:
        conversation = await store.get((await find(store, session)).start.id)
    if conversation is None:
        raise click.ClickException(f"There is no conversation {session!r}.")
    if as_json:
        from sttgate.exports import json

        click.echo(json.render(conversation), nl=False)
        return
    _print(conversation)


def _print(conversation: Conversation) -> None:
    from sttgate.exports.turns import speakers, turns

    click.echo(summary(conversation.session), err=True)
    said = turns(conversation)
    named = len(speakers(said)) > 1
    for turn in said:
        name = f"{turn.speaker}: " if named else ""
        click.echo(f"{position(turn.pieces[0].start)} {name}{turn.text}")
