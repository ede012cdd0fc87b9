"""``sttgate plugins``: which plugins there are, and what their options mean."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sttgate.cli.options import config_option, json_option, read_plugins
from sttgate.cli.tables import table

if TYPE_CHECKING:
    from sttgate.plugins import Offer, PluginInfo, Plugins
    from sttgate.provider import ProviderSpec
    from sttgate.stores import StoreSpec


@click.group()
def plugins() -> None:
    """See which plugins there are, and what can be set for them."""


@plugins.command("list")
@config_option
@json_option
def list_plugins(config_file: Path | None, as_json: bool) -> None:
    """List every plugin that was found, where it comes from and what it offers.

    \b
    Examples:
      sttgate plugins list
      sttgate plugins list --json
    """
    found = read_plugins(config_file)
    rows = sorted(_rows(found), key=lambda row: (row["name"] is None, row["name"]))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    header = ("NAME", "STATE", "ORIGIN", "VERSION", "OFFERS", "FILE")
    lines = [
        (row["name"] or "-", row["state"], row["origin"], row["version"] or "-",
         ", ".join(row["offers"]) or "-", row["file"] or "-")
        for row in rows
    ]  # fmt: skip
    click.echo("\n".join(table([header, *lines])))
    for error in found.errors:
        click.echo(f"\n{error}", err=True)


@plugins.command()
@click.argument("name")
@config_option
@json_option
def show(name: str, config_file: Path | None, as_json: bool) -> None:
    """Show the options of the plugin, provider or store NAME, and what a provider can do.

    \b
    Example:
      sttgate plugins show deepgram
    """
    found = read_plugins(config_file)
    broken = [error for error in found.errors if error.info and error.info.name == name]
    offers = [
        (kind, offer)
        for kind, offer in _offers(found)
        if name in (offer.spec.name, offer.plugin.name)
    ]
    if not offers and broken:
        raise broken[0]
    if not offers:
        names = {offer.spec.name for _, offer in _offers(found)}
        raise click.ClickException(
            f"There is no plugin '{name}'; there are {', '.join(sorted(names)) or 'none'}."
        )
    pages = [_page(kind, offer) for kind, offer in offers]
    if as_json:
        click.echo(json.dumps(pages, indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join("\n".join(_printed(page)) for page in pages))


@plugins.command("test")
@click.argument("name")
@click.option(
    "--speech",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A WAV file with a few seconds of speech that the provider recognises.",
)
@config_option
@json_option
@click.pass_context
def test_plugin(
    ctx: click.Context, name: str, speech: Path | None, config_file: Path | None, as_json: bool
) -> None:
    """Test whether the provider or store NAME keeps its contract; exit 1 if not.

    It is tested as configured, else with its default options. A vendor's service is really used,
    for some minutes of audio; a store gets a temporary folder. Needs pytest.

    \b
    Examples:
      sttgate plugins test echo
      sttgate plugins test moonshine --speech talk.wav
    """
    from sttgate.cli.trial import printed, try_out

    kind, verdicts = try_out(name, config_file, speech)
    if as_json:
        click.echo(json.dumps([asdict(verdict) for verdict in verdicts], indent=2))
    else:
        click.echo("\n".join(printed(kind, name, verdicts)))
    if any(verdict.outcome == "failed" for verdict in verdicts):
        ctx.exit(1)


def _offers(found: Plugins) -> Iterator[tuple[str, Offer[ProviderSpec] | Offer[StoreSpec]]]:
    for provider in found.providers.values():
        yield "provider", provider
    for transcripts in found.transcript_stores.values():
        yield "transcript store", transcripts
    for recordings in found.recording_stores.values():
        yield "recording store", recordings


def _rows(found: Plugins) -> Iterator[dict[str, Any]]:
    for info in found.loaded:
        offers = [
            f"{kind} {offer.spec.name}" for kind, offer in _offers(found) if offer.plugin == info
        ]
        yield _row(info, "loaded", offers)
    for info in found.disabled:
        yield _row(info, "disabled")
    for error in found.errors:
        if error.info:
            yield {**_row(error.info, "broken"), "error": str(error)}
        else:
            row = {"name": None, "state": "broken", "origin": "folder", "distribution": None}
            file = str(error.file)
            yield {**row, "version": None, "file": file, "offers": [], "error": str(error)}


def _row(info: PluginInfo, state: str, offers: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "name": info.name,
        "state": state,
        "origin": info.origin,
        "distribution": info.distribution,
        "version": info.version,
        "file": str(info.file) if info.file else None,
        "offers": list(offers),
        "error": None,
    }


def _page(kind: str, offer: Offer[ProviderSpec] | Offer[StoreSpec]) -> dict[str, Any]:
    from sttgate.config.schema import describe

    spec = offer.spec
    return {
        "kind": kind,
        "name": spec.name,
        "summary": spec.summary,
        "plugin": _row(offer.plugin, "loaded"),
        "options": [asdict(option) for option in describe(spec.options)],
        "capabilities": _capabilities(spec) if kind == "provider" else None,
    }


def _capabilities(spec: ProviderSpec | StoreSpec) -> dict[str, Any] | None:
    """Ask a provider made with default options, else its class; None if neither tells.

    Constructors of providers do no I/O, so this is cheap.
    """
    from sttgate.config.options import from_environment
    from sttgate.provider import Capabilities, Provider

    given = from_environment(spec.options, os.environ)
    try:
        made: Any = spec.factory(spec.options(**{key: value for key, (_, value) in given.items()}))
        capabilities = made.capabilities
    except Exception:  # such as NotConfigured, or an option without a default
        capabilities = getattr(spec.factory, "capabilities", None)
        if capabilities is Provider.capabilities:
            return None
    return asdict(capabilities) if isinstance(capabilities, Capabilities) else None


def _printed(page: Mapping[str, Any]) -> Iterator[str]:
    plugin = page["plugin"]
    version = f" {plugin['version']}" if plugin["version"] else ""
    yield f"{page['kind']} {page['name']}" + (f": {page['summary']}" if page["summary"] else "")
    yield f"from {plugin['distribution'] or plugin['origin']}{version}, {plugin['file'] or 'no file'}"
    yield ""
    rows = [("OPTION", "TYPE", "DEFAULT", "MEANING")]
    for option in page["options"]:
        default = "(required)" if option["required"] else option["default"]
        default = f"${option['variable']}" if option["variable"] else default
        rows.append((option["name"], option["type"], default, option["text"]))
    yield from table(rows) if page["options"] else ["It has no options."]
    if page["kind"] != "provider":
        return
    yield ""
    if page["capabilities"] is None:
        yield "What it can do is known once it is configured, with a key for instance."
    else:
        names = {name: _shown(value) for name, value in page["capabilities"].items()}
        yield from table([("CAPABILITY", ""), *names.items()])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "any" if value is None else str(value)
