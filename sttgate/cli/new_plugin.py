"""``sttgate new-plugin``: a project to start from, complete and tested."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sttgate.cli.options import read_plugins
from sttgate.cli.scaffold import KINDS, plan

if TYPE_CHECKING:
    from sttgate.plugins import Plugins


@click.command("new-plugin")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    default="stream",
    show_default=True,
    help="What it offers: a provider behind a WebSocket (stream), a provider that takes whole "
    "utterances (batch), a transcript store or a recording store.",
)
@click.option(
    "--dir",
    "folder",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="The folder to make  [default: ./sttgate-NAME]",
)
def new_plugin(name: str, kind: str, folder: Path | None) -> None:
    """Make a project for a plugin NAME: code, entry point, tests that pass, README.

    A provider comes with an emulator of its vendor, so that it works at once; replace the messages
    by those of your vendor.

    \b
    Examples:
      sttgate new-plugin acme
      sttgate new-plugin acme --kind batch
      sttgate new-plugin vault --kind recordings --dir ~/src/vault
    """
    project = plan(name, kind, _names(read_plugins(None)))
    place = folder or Path(project.distribution)
    project.write(place)
    click.echo(place)
    click.echo(
        f"\n{project.distribution} is {KINDS[kind].what}. Next:\n\n"
        f"  cd {place}\n"
        "  pip install -e '.[dev]'\n"
        "  python -m pytest\n"
        f"  sttgate plugins show {project.name}\n\n"
        "README.md there tells the rest.",
        err=True,
    )


def _names(found: Plugins) -> set[str]:
    """Return the names of everything there is, broken and disabled plugins too."""
    broken = {error.info.name for error in found.errors if error.info}
    plugins = {info.name for info in (*found.loaded, *found.disabled)}
    offers = {*found.providers, *found.transcript_stores, *found.recording_stores}
    return broken | plugins | offers
