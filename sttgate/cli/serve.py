"""``sttgate serve``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sttgate.cli.options import config_option, read_config, set_option
from sttgate.cli.running import run

if TYPE_CHECKING:
    from socket import socket as Socket

    from sttgate.config import Config

_LONGEST_FOLDER = 90  # characters; the address of a Unix socket has 107
_PATIENCE = 90.0  # seconds a worker may take to settle and store, after its sessions had theirs


@click.command()
@config_option
@set_option
@click.option("-h", "--host", help="Address to listen on.")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for any.")
@click.option(
    "--insecure", is_flag=True, help="Ask nobody for a key, although other machines can connect."
)
@click.option("--workers", type=click.IntRange(1, 128), help="Processes that serve together.")
@click.option("--provider", metavar="NAME", help="Use only this provider of the configuration.")
@click.pass_context
def serve(
    context: click.Context,
    config_file: Path | None,
    overrides: dict[str, str],
    host: str | None,
    port: int | None,
    insecure: bool,
    workers: int | None,
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
      sttgate serve --workers 4
      sttgate serve --set providers.deepgram.model=nova-2
    """
    if host is not None:
        overrides["server.host"] = json.dumps(host)
    if port is not None:
        overrides["server.port"] = str(port)
    if insecure:
        overrides["access.insecure"] = "true"
    if workers is not None:
        overrides["server.workers"] = str(workers)
    if provider is not None:
        overrides["chain"] = json.dumps([provider])
    if context.find_root().params.get("debug"):
        overrides["log.level"] = "debug"  # also when the configuration is read again
    config = read_config(config_file, overrides)
    for warning in config.warnings:
        click.echo(f"warning: {warning}", err=True)
    if config.server.workers > 1:
        _serve_together(config, config_file, overrides)
        return
    from sttgate.app import serve as serve_app
    from sttgate.cli.worker import about

    serving = serve_app(
        config,
        lambda gateway, url, metrics: _print_banner(config, about(gateway, url, metrics)),
        lambda: read_config(config.path, overrides, config.plugins),
    )
    run(serving, level=config.log.level, log_format=config.log.format)


def _serve_together(config: Config, config_file: Path | None, overrides: dict[str, str]) -> None:
    """Have several processes serve, and see that they do."""
    from sttgate.cli.worker import Assignment, spawn
    from sttgate.lineup import StartupError
    from sttgate.workers.address import reserved
    from sttgate.workers.supervisor import Supervisor

    if sys.platform != "linux":
        raise StartupError(
            "several workers need Linux, whose kernel shares a port out among them; "
            "set 'server.workers' to 1"
        )
    server = config.server
    debug = bool(click.get_current_context().find_root().params.get("debug"))
    with (
        reserved(server.host, server.port) as port,
        tempfile.TemporaryDirectory(prefix="sttgate-") as folder,
    ):
        if len(folder) > _LONGEST_FOLDER:
            raise StartupError(
                f"the sockets of the workers cannot lie in {folder}, whose name is too long: "
                "set TMPDIR to another folder"
            )

        def start(number: int, socket: Path) -> tuple[subprocess.Popen[bytes], Socket]:
            return spawn(
                Assignment(
                    number=number,
                    socket=str(socket),
                    config_file=None if config_file is None else str(config_file),
                    overrides={**overrides, "server.port": str(port)},
                    debug=debug,
                ),
                server.workers,
            )

        patience = server.lame_duck_s + server.drain_timeout_s + _PATIENCE
        supervisor = Supervisor(start, server.workers, Path(folder), patience)
        serving = supervisor.run(lambda about: _print_banner(config, about))
        code = run(serving, level=config.log.level, log_format=config.log.format)
    if code:
        click.get_current_context().exit(code)


def _print_banner(config: Config, about: Mapping[str, Any]) -> None:
    """Say in a few lines where it listens and who transcribes."""
    from sttgate.access.addresses import is_loopback
    from sttgate.access.gate import Gate
    from sttgate.protocols.native import PATH

    url = about["url"]
    first, *others = about["chain"]
    click.echo(f"sttgate is ready at {url}", err=True)
    click.echo(f"  WebSocket   {url.replace('http', 'ws', 1)}{PATH}", err=True)
    then = f" (then {', then '.join(others)})" if others else ""
    click.echo(f"  provider    {first}{then}", err=True)
    for name, reason in about["skipped"].items():
        click.echo(f"  skipped     {name}: {reason}", err=True)
    if config.server.workers > 1:
        click.echo(f"  workers     {config.server.workers}", err=True)
    if (metrics := about["metrics"]) is not None:
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
