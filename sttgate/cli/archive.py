"""``sttgate sessions export``, ``delete``, ``path`` and ``backup``: conversations as a whole."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sttgate.cli.moments import since_option
from sttgate.cli.options import config_option
from sttgate.cli.running import run
from sttgate.cli.stored import Stores, find, open_stores, summary

if TYPE_CHECKING:
    from sttgate.conversations import Part
    from sttgate.stores import RecordingStore

_FORMATS = ("txt", "srt", "vtt", "json", "wav")


@click.command()
@click.argument("session", metavar="[ID]", required=False)
@click.option("-f", "--format", "format_", type=click.Choice(_FORMATS), default="txt")
@click.option(
    "-o", "--output", metavar="PATH", help="File or folder; - is standard output  [default: -]"
)
@click.option("--all", "everything", is_flag=True, help="All conversations, into a folder.")
@since_option
@config_option
def export(
    session: str | None,
    format_: str,
    output: str | None,
    everything: bool,
    since: float | None,
    config_file: Path | None,
) -> None:
    """Write a conversation as text, subtitles, JSON or audio.

    In a folder the file is named after the conversation.

    \b
    Examples:
      sttgate sessions export latest
      sttgate sessions export 3f2a -f srt -o talk.srt
      sttgate sessions export --all --since 4w -f json -o archive/
    """
    if everything == (session is not None):
        raise click.UsageError("Name one conversation, or all with --all.")
    if since is not None and not everything:
        raise click.UsageError("--since goes with --all.")
    if everything:
        if output is None or output == "-":
            raise click.UsageError("All conversations need a folder: give one with -o.")
        run(_export_all(config_file, format_, Path(output), since))
        return
    assert session is not None
    target = None if output is None or output == "-" else Path(output)
    if target is None and format_ == "wav" and sys.stdout.isatty():
        raise click.UsageError("Audio does not belong on a terminal: give a file with -o.")
    if output is not None and output.endswith("/"):
        _make_folder(Path(output))
    run(_export_one(config_file, session, format_, target))


@click.command()
@click.argument("sessions", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--only",
    type=click.Choice(["transcript", "recording"]),
    help="Delete what was said and keep the audio, or the other way round.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@config_option
def delete(
    sessions: tuple[str, ...], only: Part | None, yes: bool, config_file: Path | None
) -> None:
    """Delete conversations for good: what was said and the audio.

    \b
    Examples:
      sttgate sessions delete 3f2a
      sttgate sessions delete latest --only recording -y
    """
    run(_delete(config_file, sessions, only, yes))


@click.command()
@click.argument("session", metavar="ID")
@config_option
def path(session: str, config_file: Path | None) -> None:
    """Print where the recording of a conversation lies.

    \b
    Example:
      ffplay "$(sttgate sessions path latest)"
    """
    run(_path(config_file, session))


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@config_option
def backup(folder: Path, config_file: Path | None) -> None:
    """Copy all conversations and recordings to FOLDER, also while the gateway runs.

    FOLDER must be new or empty. A gateway that is started in it has all of them; the configuration
    and the API keys are not copied.

    \b
    Example:
      sttgate sessions backup /backups/$(date +%F)
    """
    run(_backup(config_file, folder))


async def _export_one(
    config_file: Path | None, name: str, format_: str, target: Path | None
) -> None:
    async with open_stores(config_file) as stores:
        session_id = (await find(stores.transcripts, name)).start.id
        if target is not None and target.is_dir():
            target /= _file_name(session_id, format_)
        if target is None and format_ == "wav":
            await _stream(stores.recordings, session_id)
        elif target is None:
            click.echo(await _text(stores, session_id, format_), nl=False)
        elif not await _write(stores, session_id, format_, target):
            raise _no_recording(session_id)


async def _export_all(
    config_file: Path | None, format_: str, folder: Path, since: float | None
) -> None:
    from sttgate.conversations import sessions
    from sttgate.stores import SessionQuery

    _make_folder(folder)
    done = missing = 0
    async with (
        open_stores(config_file) as stores,
        aclosing(sessions(stores.transcripts, SessionQuery(limit=500, since=since))) as stored,
    ):
        async for session in stored:
            session_id = session.start.id
            target = folder / _file_name(session_id, format_)
            if await _write(stores, session_id, format_, target):
                done += 1
            else:
                missing += 1
    click.echo(f"{_count(done)} exported to {folder}.", err=True)
    if missing:
        click.echo(f"{_count(missing)} without a recording.", err=True)


async def _write(stores: Stores, session_id: str, format_: str, target: Path) -> bool:
    """Write a conversation to a file; False if its recording is asked for and there is none."""
    from sttgate.conversations import save
    from sttgate.errors import SttgateError

    try:
        if format_ == "wav":
            return await save(stores.recordings, session_id, target)
        text = await _text(stores, session_id, format_)
        target.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise SttgateError(f"{target} cannot be written: {error.strerror}.") from error
    return True


async def _text(stores: Stores, session_id: str, format_: str) -> str:
    from sttgate.exports import export

    conversation = await stores.transcripts.get(session_id)
    if conversation is None:
        raise click.ClickException(f"There is no conversation {session_id!r} any more.")
    return (await asyncio.to_thread(export, conversation, format_)).text


async def _stream(recordings: RecordingStore, session_id: str) -> None:
    if await recordings.find(session_id) is None:
        raise _no_recording(session_id)
    out = sys.stdout.buffer
    async for block in recordings.read(session_id):
        await asyncio.to_thread(out.write, block)
    out.flush()


async def _delete(
    config_file: Path | None, names: Sequence[str], only: Part | None, yes: bool
) -> None:
    from sttgate import conversations

    async with open_stores(config_file) as stores:
        chosen = {s.start.id: s for s in [await find(stores.transcripts, name) for name in names]}
        for session_id in chosen:
            if conversations.in_spool(stores.spool, session_id):
                raise click.ClickException(
                    f"The conversation {session_id} still runs, or is not stored yet; nothing was "
                    "deleted. End it, or start the gateway once to have it stored."
                )
        if not yes:
            for session in chosen.values():
                click.echo(summary(session), err=True)
            what = {
                "transcript": "what was said in",
                "recording": "the recording of",
                None: "for good",
            }[only]
            click.confirm(f"Delete {what} {_count(len(chosen))}?", abort=True, err=True)
        for session_id in chosen:
            await conversations.delete(stores.transcripts, stores.recordings, session_id, only)
    left = {"transcript": "The transcript of ", "recording": "The recording of ", None: ""}[only]
    click.echo(f"{left}{_count(len(chosen))} deleted.", err=True)


async def _path(config_file: Path | None, name: str) -> None:
    async with open_stores(config_file) as stores:
        session_id = (await find(stores.transcripts, name)).start.id
        recording = await stores.recordings.find(session_id)
    if recording is None:
        raise _no_recording(session_id)
    if recording.path is None:
        raise click.ClickException(
            "The recording is not a file on this machine; get it with: "
            f"sttgate sessions export {session_id} -f wav -o FILE"
        )
    click.echo(recording.path)


async def _backup(config_file: Path | None, folder: Path) -> None:
    from sttgate import conversations

    async with open_stores(config_file) as stores:
        done = await conversations.backup(stores.transcripts, stores.recordings, folder)
    click.echo(
        f"{_count(done.conversations)} and {done.recordings} recordings copied to {folder}.",
        err=True,
    )
    if done.running:
        click.echo(f"{_count(done.running)} still running: as far as they were.", err=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.BadParameter(
            f"{folder} cannot be made: {error.strerror}.", param_hint="--output"
        ) from error


def _file_name(session_id: str, format_: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', session_id)}.{format_}"


def _no_recording(session_id: str) -> click.ClickException:
    return click.ClickException(f"The conversation {session_id} has no recording.")


def _count(number: int) -> str:
    return f"{number} conversation{'' if number == 1 else 's'}"
