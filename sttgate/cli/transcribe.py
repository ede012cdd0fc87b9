"""``sttgate transcribe``: files to text, through a running gateway or in this process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sttgate.cli.failures import explain
from sttgate.cli.options import config_option, read_config, set_option
from sttgate.cli.rendering import ENDINGS, render
from sttgate.cli.running import run

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from sttgate.cli.doors import OpenDoor


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the command line asked for, for every file; ``start`` has the fields of ``start``."""

    start: Mapping[str, Any]
    realtime: bool
    output_format: str


@click.command()
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@click.option(
    "--server", metavar="URL", help="Use a running gateway, such as http://127.0.0.1:8000."
)
@click.option("--provider", metavar="NAME", help="Use only this provider of the configuration.")
@click.option("--model", help="The provider's model.")
@click.option("--language", help="A BCP-47 tag such as en-GB.")
@click.option("-f", "--format", "output_format", type=click.Choice(list(ENDINGS)), default="txt")
@click.option("-o", "--output", metavar="PATH", help="File, or folder for several.")
@click.option("--realtime", is_flag=True, help="Send the audio as fast as it plays.")
@click.option("--no-store", is_flag=True, help="Keep neither transcript nor recording.")
@config_option
@set_option
def transcribe(
    files: tuple[Path, ...],
    server: str | None,
    provider: str | None,
    model: str | None,
    language: str | None,
    output_format: str,
    output: str | None,
    realtime: bool,
    no_store: bool,
    config_file: Path | None,
    overrides: dict[str, str],
) -> None:
    """Print the words of WAV files; - is standard input.

    Without --server the work is done in this process, with the same configuration, and the
    conversation and its recording are stored as the gateway would.

    \b
    Examples:
      sttgate transcribe talk.wav
      sttgate transcribe --server http://127.0.0.1:8000 -f json talk.wav
      sttgate transcribe -f srt talk.wav -o talk.srt
      sttgate transcribe *.wav -o transcripts/
      arecord -f S16_LE -r 16000 | sttgate transcribe -
    """
    from sttgate.cli.doors import local, remote

    targets = _targets(files, output, ENDINGS[output_format])
    start = {"model": model, "language": language, "store": not no_store, "words": True}
    if provider is not None:
        start["provider"] = provider
    if server is not None:
        doors = remote(server)
    else:
        if provider is not None:
            overrides["chain"] = json.dumps([provider])  # so that no other one is loaded
        doors = local(read_config(config_file, overrides))
    wish = _Wish(start, realtime, output_format)
    try:
        code = run(_transcribe_all(list(zip(files, targets, strict=True)), doors, wish))
    except KeyboardInterrupt:
        hint = "" if no_store else "; what was heard is kept, see: sttgate sessions list"
        click.echo(f"sttgate: interrupted{hint}", err=True)
        raise
    if code:
        click.get_current_context().exit(code)


async def _transcribe_all(
    files: Sequence[tuple[Path, Path | None]],
    doors: AbstractAsyncContextManager[OpenDoor],
    wish: _Wish,
) -> int:
    """Transcribe one file after another; return the exit code."""
    from sttgate.errors import SttgateError

    code = 0
    async with doors as open_door:
        for path, target in files:
            try:
                await _transcribe_one(path, target, open_door, wish)
            except SttgateError as error:
                sentence, its_code = explain(error)
                click.echo(sentence, err=True)
                code = max(code, its_code)
    return code


async def _transcribe_one(
    path: Path, target: Path | None, open_door: OpenDoor, wish: _Wish
) -> None:
    """Transcribe a file and write its text; raises SttgateError when that is not all of it."""
    from sttgate.cli.listening import listen
    from sttgate.errors import ProviderTimeout, ProviderUnavailable, SttgateError

    def progress(seconds: float, total: float | None) -> None:
        if sys.stderr.isatty():
            of = f" of {total:.0f}" if total is not None else ""
            click.echo(f"\r{path.name}: {seconds:.0f}{of} s", nl=False, err=True)

    start = {"title": path.name[:200], **wish.start}
    try:
        heard = await listen(path, open_door, start, wish.realtime, progress)
    finally:
        if sys.stderr.isatty():
            click.echo("\r\033[K", nl=False, err=True)
    _write(render(wish.output_format, heard.segments, heard.stopped, path.name), target)
    if heard.missing:
        click.echo(f"sttgate: {path}: ends {heard.missing:.1f} s before its header says", err=True)
    stopped, error = heard.stopped, heard.error
    if wish.start["store"] and stopped and stopped.duration_s and not stopped.stored.transcript:
        message = "the conversation is not stored yet; the next start of the gateway tries again"
        click.echo(f"sttgate: {path}: {message}", err=True)
    if error is None and heard.unheard:
        raise ProviderTimeout(f"{path}: {heard.unheard:.1f} s could not be transcribed in time")
    if error is not None and (heard.unheard or not (stopped and stopped.duration_s)):
        unheard = f"; {heard.unheard:.1f} s could not be transcribed" if heard.unheard else ""
        kind = ProviderUnavailable if error.code.startswith("provider_") else SttgateError
        raise kind(f"{path}: {error.message} ({error.code}){unheard}")


def _targets(files: Sequence[Path], output: str | None, ending: str) -> list[Path | None]:
    """Say where the text of each file goes, None for standard output; UsageError if that cannot be."""
    if output is None or output == "-":
        return [None] * len(files)
    path = Path(output)
    try:
        if len(files) > 1 or output.endswith(os.sep) or path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            targets = [path / f"{file.stem}{ending}" for file in files]
        else:
            path.parent.stat()
            targets = [path]
    except OSError as error:
        message = f"{error.filename} cannot hold the text: {error.strerror}."
        raise click.BadParameter(message, param_hint="--output") from error
    taken = {file.resolve() for file in files}
    for target in targets:
        if target.resolve() in taken:
            message = f"{target} would be written over; transcribe into another folder."
            raise click.BadParameter(message, param_hint="--output")
        taken.add(target.resolve())
    return list(targets)


def _write(text: str, target: Path | None) -> None:
    from sttgate.errors import SttgateError

    if target is None:
        click.echo(text, nl=False)
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SttgateError(f"{target} cannot be written: {error.strerror}") from error
