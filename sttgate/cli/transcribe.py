"""``sttgate transcribe``: files to text, through a running gateway or in this process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from sttgate.cli.options import config_option, read_config, set_option
from sttgate.cli.running import run

if TYPE_CHECKING:
    from sttgate.audio import AudioFormat
    from sttgate.gateway import Gateway
    from sttgate.session.entries import AnyEntry
    from sttgate.session.session import Session

_ENDINGS = {"txt": ".txt", "json": ".json"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    provider: str | None
    model: str | None
    language: str | None
    store: bool
    realtime: bool
    output_format: str


class Door(Protocol):
    """A session to send audio to, here or on a server."""

    async def send(self, pcm: bytes) -> None:
        """Take audio."""

    async def stop(self) -> None:
        """End the audio."""

    def events(self) -> AsyncIterator[AnyEntry]:
        """Yield what the session says."""


@click.command()
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@click.option(
    "--server", metavar="URL", help="Use a running gateway, such as http://127.0.0.1:8000."
)
@click.option("--provider", metavar="NAME", help="A provider of the configuration.")
@click.option("--model", help="The provider's model.")
@click.option("--language", help="A BCP-47 tag such as en-GB.")
@click.option("-f", "--format", "output_format", type=click.Choice(list(_ENDINGS)), default="txt")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File, or folder for several."
)
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
    output: Path | None,
    realtime: bool,
    no_store: bool,
    config_file: Path | None,
    overrides: dict[str, str],
) -> None:
    """Print the words of WAV files.

    Without --server the work is done in this process, with the same configuration, and the
    conversation and its recording are stored as the gateway would.

    \b
    Examples:
      sttgate transcribe talk.wav
      sttgate transcribe --server http://127.0.0.1:8000 -f json talk.wav
      sttgate transcribe *.wav -o transcripts/
    """
    wish = Wish(provider, model, language, not no_store, realtime, output_format)
    if output is not None and len(files) > 1:
        output.mkdir(parents=True, exist_ok=True)
    failed = run(_transcribe_all(files, server, wish, output, config_file, overrides))
    if failed:
        click.get_current_context().exit(failed)


async def _transcribe_all(
    files: tuple[Path, ...],
    server: str | None,
    wish: Wish,
    output: Path | None,
    config_file: Path | None,
    overrides: dict[str, str],
) -> int:
    """Transcribe one file after another; return the exit code."""
    from sttgate.errors import ProviderError, RequestError
    from sttgate.wav import WavError

    code = 0
    async with AsyncExitStack() as stack:
        gateway = None
        if server is None:
            gateway = await stack.enter_async_context(_open_gateway(config_file, overrides))
        for path in files:
            try:
                text = await _transcribe_one(path, gateway, server, wish)
            except (WavError, RequestError) as error:
                click.echo(f"sttgate: {error}", err=True)
                code = 1
            except ProviderError as error:
                click.echo(f"sttgate: {path}: {error}", err=True)
                code = 4
            else:
                _write(
                    text, path, output, several=len(files) > 1, ending=_ENDINGS[wish.output_format]
                )
    return code


async def _transcribe_one(
    path: Path, gateway: Gateway | None, server: str | None, wish: Wish
) -> str:
    from sttgate.errors import ProviderUnavailable
    from sttgate.session import entries
    from sttgate.wav import WavFile

    lines: list[str] = []
    parts: list[str] = []
    said: list[AnyEntry] = []
    with WavFile(path) as wav:
        async with _open_door(gateway, server, wav.format, path, wish) as door:
            sending = asyncio.create_task(_send(door, wav.chunks(), wish.realtime))
            try:
                async for entry in door.events():
                    if isinstance(entry, entries.Transcript):
                        _show_progress(path, entry.end, wav.seconds)
                        if entry.is_final:
                            parts.append(entry.text)
                            said.append(entry)
                    elif isinstance(entry, entries.UtteranceEnd):
                        lines.append(" ".join(parts))
                        parts.clear()
                    elif isinstance(entry, entries.Error):
                        raise ProviderUnavailable(f"{entry.message} ({entry.code})")
                    elif isinstance(entry, entries.Stopped):
                        said.append(entry)
                await sending
            finally:
                sending.cancel()
                await asyncio.wait({sending})
                _clear_progress()
    if wish.output_format == "json":
        import msgspec

        segments = [entry for entry in said if isinstance(entry, entries.Transcript)]
        stopped = said[-1]
        assert isinstance(stopped, entries.Stopped)
        return msgspec.json.encode(
            {
                "file": path.name,
                "session_id": stopped.session_id,
                "duration_s": stopped.duration_s,
                "provider": stopped.provider,
                "text": stopped.full_transcription,
                "segments": segments,
                "links": stopped.links,
            }
        ).decode()
    return "\n".join(lines)


async def _send(door: Door, chunks: Iterator[bytes], realtime: bool) -> None:
    for pcm in chunks:
        await door.send(pcm)
        await asyncio.sleep(0.1 if realtime else 0)
    await door.stop()


@asynccontextmanager
async def _open_gateway(
    config_file: Path | None, overrides: dict[str, str]
) -> AsyncIterator[Gateway]:
    from sttgate.gateway import Gateway

    gateway = Gateway.from_config(read_config(config_file, overrides))
    for skipped in gateway.skipped:
        click.echo(f"skipped {skipped.name}: {skipped.reason}", err=True)
    await gateway.open()
    try:
        yield gateway
    finally:
        await gateway.close()


@asynccontextmanager
async def _open_door(
    gateway: Gateway | None, server: str | None, audio_format: AudioFormat, path: Path, wish: Wish
) -> AsyncIterator[Door]:
    """Open a session in this process, or on the server."""
    if gateway is not None:
        from sttgate.protocols.native.requests import Start

        session = await gateway.open_session(
            Start(
                provider=wish.provider or "auto",
                model=wish.model,
                language=wish.language,
                sample_rate=audio_format.sample_rate,
                channels=audio_format.channels,
                store=wish.store,
                title=path.name[:200],
            ).session_params(_new_id(), 2)
        )
        try:
            yield _LocalDoor(session)
        finally:
            session.stop()
        return
    from sttgate.client import connect

    assert server is not None
    async with connect(
        server,
        provider=wish.provider or "auto",
        model=wish.model,
        language=wish.language,
        sample_rate=audio_format.sample_rate,
        channels=audio_format.channels,
        store=wish.store,
        title=path.name[:200],
        words=True,
    ) as client:
        yield client


class _LocalDoor:
    """A session of this process."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def send(self, pcm: bytes) -> None:
        await self._session.audio.room()
        self._session.append(pcm)

    async def stop(self) -> None:
        self._session.stop()

    async def events(self) -> AsyncIterator[AnyEntry]:
        from sttgate.session.entries import Stopped

        reader = self._session.events.reader(0, lambda: None)
        try:
            async for entry in reader.follow():
                yield entry
                if isinstance(entry, Stopped):
                    return
        finally:
            reader.close()


def _new_id() -> str:
    import uuid

    return str(uuid.uuid4())


def _write(text: str, path: Path, output: Path | None, *, several: bool, ending: str) -> None:
    if output is None or str(output) == "-":
        click.echo(text)
        return
    target = output / f"{path.stem}{ending}" if several or output.is_dir() else output
    target.write_text(text + "\n", encoding="utf-8")


def _show_progress(path: Path, seconds: float, total: float) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{path.name}: {seconds:.0f} of {total:.0f} s", nl=False, err=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
