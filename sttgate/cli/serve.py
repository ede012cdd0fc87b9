"""``sttgate serve``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sttgate.cli.options import config_option, read_config, set_option
from sttgate.cli.running import run

if TYPE_CHECKING:
    from sttgate.config import Config
    from sttgate.gateway import Gateway


@click.command()
@config_option
@set_option
@click.option("-h", "--host", help="Address to listen on.")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for any.")
@click.option(
    "--insecure", is_flag=True, help="Ask nobody for a key, although other machines can connect."
)
@click.option("--provider", metavar="NAME", help="Use only this provider of the configuration.")
@click.pass_context
def serve(
    context: click.Context,
    config_file: Path | None,
    overrides: dict[str, str],
    host: str | None,
    port: int | None,
    insecure: bool,
    provider: str | None,
) -> None:
    """Serve live speech-to-text until Ctrl-C.

    Without a configuration file and without a key it listens on 127.0.0.1:8000 and uses the local
    engine; with DEEPGRAM_API_KEY set it uses Deepgram. Where other machines can connect it asks
    for an API key: make one with `sttgate keys create`.

    \b
    Examples:
      sttgate serve
      sttgate serve --port 9000 --provider echo
      sttgate serve --set providers.deepgram.model=nova-2
    """
    from sttgate.app import serve as serve_app

    if host is not None:
        overrides["server.host"] = json.dumps(host)
    if port is not None:
        overrides["server.port"] = str(port)
    if insecure:
        overrides["access.insecure"] = "true"
    if provider is not None:
        overrides["chain"] = json.dumps([provider])
    if context.find_root().params.get("debug"):
        overrides["log.level"] = "debug"  # also when the configuration is read again
    config = read_config(config_file, overrides)
    for warning in config.warnings:
        click.echo(f"warning: {warning}", err=True)
    serving = serve_app(
        config,
        lambda gateway, url, metrics: _print_banner(config, gateway, url, metrics),
        lambda: read_config(config.path, overrides, config.plugins),
    )
    run(serving, level=config.log.level, log_format=config.log.format)


def _print_banner(config: Config, gateway: Gateway, url: str, metrics: str | None) -> None:
    """Say in a few lines where it listens and who transcribes."""
    from sttgate.access.addresses import is_loopback
    from sttgate.access.gate import Gate
    from sttgate.protocols.native import PATH

    first = gateway.chain[0].name
    others = ", then ".join(provider.name for provider in gateway.chain[1:])
    click.echo(f"sttgate is ready at {url}", err=True)
    click.echo(f"  WebSocket   {url.replace('http', 'ws', 1)}{PATH}", err=True)
    click.echo(f"  provider    {first}{f' (then {others})' if others else ''}", err=True)
    for skipped in gateway.skipped:
        click.echo(f"  skipped     {skipped.name}: {skipped.reason}", err=True)
    if metrics is not None:
        click.echo(f"  metrics     {metrics}", err=True)
        if not is_loopback(config.metrics.host):
            message = f"{config.metrics.host} shows the metrics to everybody who reaches it."
            click.echo(f"  WARNING     {message}", err=True)
    click.echo(f"  config      {config.path or 'none; shipped defaults'}", err=True)
    if Gate.from_config(config).enforced:
        click.echo("  access      with an API key", err=True)
    elif not is_loopback(config.server.host):
        click.echo(
            f"  WARNING     {config.server.host} is open to the network and access control is off: "
            "everybody who reaches it can transcribe, read and delete.",
            err=True,
        )
