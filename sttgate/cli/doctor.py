"""``sttgate doctor``: look at everything the gateway needs, and say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sttgate.cli.options import config_option, json_option, read_config, set_option
from sttgate.cli.running import run

if TYPE_CHECKING:
    from sttgate.cli.checks import Finding
    from sttgate.config import Config

_MARKS = {"ok": "✓", "warning": "!", "error": "✗"}


@click.command()
@click.option(
    "--online", is_flag=True, help="Also ask providers, issuer and collector whether they answer."
)
@json_option
@config_option
@set_option
@click.pass_context
def doctor(
    ctx: click.Context,
    online: bool,
    as_json: bool,
    config_file: Path | None,
    overrides: dict[str, str],
) -> None:
    """Check this installation and say what to do; exit 1 if something is broken.

    Looks at configuration, access, ports, folders, file modes, disks, clock, limits of the system,
    plugins, stores and providers. ! is a warning, ✗ is broken.

    \b
    Examples:
      sttgate doctor --online
      sttgate doctor --json
    """
    findings = list(_findings(config_file, overrides, online))
    if as_json:
        import json

        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{_MARKS[finding.level]} {finding.subject}: {finding.message}")
    if any(finding.level == "error" for finding in findings):
        ctx.exit(1)


def _findings(
    config_file: Path | None, overrides: dict[str, str], online: bool
) -> Iterator[Finding]:
    from sttgate.cli.checks import Finding, doors, folders, machine, services
    from sttgate.errors import ConfigError

    yield from machine.look_at_software()
    try:
        config = read_config(config_file, overrides)
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("error", "configuration", str(problem))
        return
    yield Finding("ok", "configuration", str(config.path or "none; shipped defaults"))
    for warning in config.warnings:
        yield Finding("warning", "configuration", str(warning))
    paths = folders.paths_of(config)
    if (owner := machine.look_at_owner(paths.values())) is not None:
        yield owner
    yield machine.look_at_clock([*([config.path] if config.path else []), *paths.values()])
    yield machine.look_at_descriptors(config.server.max_sessions, config.limits.connections)
    yield doors.look_at_access(config)
    yield from doors.look_at_ports(config)
    yield services.look_at_plugins(config)
    for subject in ("spool", "uploads"):
        yield (found := folders.look_at_folder(subject, paths[subject]))
        if subject == "spool" and found.level == "ok":
            yield folders.look_at_syncing(paths[subject])
    yield from folders.look_at_disks(config)
    yield services.look_at_uploads()
    yield from run(_looks(config, online))
    yield from folders.look_at_modes(config)  # last: the stores have made their files


async def _looks(config: Config, online: bool) -> list[Finding]:
    """Return the findings that take an event loop."""
    from sttgate.cli.checks import doors, folders, services

    findings = []
    if config.spool.path.is_dir():
        findings.append(await folders.look_at_leftovers(config.spool.path))
    findings += [finding async for finding in services.look_at_stores(config)]
    findings += [finding async for finding in services.look_at_providers(config, online)]
    issuer = await doors.look_at_issuer(config) if online else None
    traces = await services.look_at_traces(config, online)
    return findings + [finding for finding in (issuer, traces) if finding is not None]
