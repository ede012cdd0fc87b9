"""``sttgate listen``: a microphone to text, while somebody speaks."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sttgate.cli.options import config_option, read_config, set_option
from sttgate.cli.rendering import ENDINGS, render
from sttgate.cli.running import run

if TYPE_CHECKING:
    from sttgate.cli.doors import Door, OpenDoor


@click.command()
@click.option("--device", metavar="N", help="Number of the microphone, or a part of its name.")
@click.option("--list-devices", is_flag=True, help="List the sound devices and end.")
@click.option(
    "--server", metavar="URL", help="Use a running gateway, such as http://127.0.0.1:8000."
)
@click.option("--provider", metavar="NAME", help="Use only this provider of the configuration.")
@click.option("--model", help="The provider's model.")
@click.option("--language", help="A BCP-47 tag such as en-GB.")
@click.option(
    "-f",
    "--format",
    "output_format",
    type=click.Choice(list(ENDINGS)),
    default="txt",
    help="Text is printed as it comes, the others at the end.",
)
@click.option("--no-store", is_flag=True, help="Keep neither transcript nor recording.")
@config_option
@set_option
def listen(
    device: str | None,
    list_devices: bool,
    server: str | None,
    provider: str | None,
    model: str | None,
    language: str | None,
    output_format: str,
    no_store: bool,
    config_file: Path | None,
    overrides: dict[str, str],
) -> None:
    """Print what is said into a microphone until Ctrl-C; needs the extra sttgate[mic].

    Ctrl-C ends the audio and waits for the last words, a second one ends at once. With --server a
    connection that breaks is taken up again by itself.

    \b
    Examples:
      sttgate listen
      sttgate listen --list-devices
      sttgate listen --server http://127.0.0.1:8000 --device 2
      sttgate listen -f vtt > speech.vtt
    """
    from sttgate.cli import microphone
    from sttgate.cli.doors import local, remote

    if list_devices:
        click.echo(microphone.list_devices())
        return
    start: dict[str, Any] = {
        "model": model,
        "language": language,
        "store": not no_store,
        "words": output_format != "txt",
    }
    if provider is not None:
        start["provider"] = provider
    if server is not None:
        doors = remote(server)
    else:
        if provider is not None:
            overrides["chain"] = json.dumps([provider])
        doors = local(read_config(config_file, overrides))
    start["sample_rate"] = microphone.FORMAT.sample_rate
    run(_listen(doors, device, start, output_format))


async def _listen(
    doors: AbstractAsyncContextManager[OpenDoor],
    device: str | None,
    start: dict[str, Any],
    output_format: str,
) -> None:
    from sttgate.cli.microphone import open_microphone

    stop = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def interrupt() -> None:
        if stop.is_set():
            task.cancel()
        stop.set()

    with suppress(NotImplementedError):  # Windows: there, the first Ctrl-C already ends it
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
    async with (
        open_microphone(device, stop) as sound,
        doors as open_door,
        open_door(**start) as door,
    ):
        await hear(door, sound, output_format)


async def hear(door: Door, sound: AsyncIterator[bytes], output_format: str = "txt") -> None:
    """Send ``sound`` through ``door`` and print what comes back: finals as lines on stdout.

    On a terminal the interim stands on one line of stderr that is written over. Formats other than
    ``txt`` are printed at the end, and a terminal shows the finals on stderr meanwhile. Raises
    ProviderUnavailable at the end if a part was heard by nobody.
    """
    from sttgate.errors import ProviderUnavailable
    from sttgate.session.entries import Error, Gap, Stopped, Transcript

    sending = asyncio.create_task(_send(door, sound))
    unheard = 0.0
    finals: list[Transcript] = []
    try:
        async for entry in door.events():
            match entry:
                case Transcript(text=text, is_final=True):
                    _show_interim("")
                    if output_format == "txt":
                        click.echo(text)
                        continue
                    if text:
                        finals.append(entry)
                    if sys.stderr.isatty():
                        click.echo(text, err=True)
                case Transcript(text=text):
                    _show_interim(text)
                case Error(message=message):
                    _show_interim("")
                    click.echo(message, err=True)
                case Gap(start=begin, end=end):
                    unheard += end - begin
                case Stopped():
                    if output_format != "txt":
                        click.echo(render(output_format, finals, entry), nl=False)
                    break
    finally:
        sending.cancel()
        await asyncio.wait({sending})
    if not sending.cancelled() and (failure := sending.exception()) is not None:
        raise failure
    if unheard:
        raise ProviderUnavailable(f"{unheard:.1f} s could not be transcribed")


async def _send(door: Door, sound: AsyncIterator[bytes]) -> None:
    try:
        async for pcm in sound:
            await door.send(pcm)
    finally:
        await door.stop()


def _show_interim(text: str) -> None:
    if sys.stderr.isatty():
        width = max(20, _columns() - 1)
        click.echo(f"\r\033[K{text[-width:]}", nl=False, err=True)


def _columns() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns
