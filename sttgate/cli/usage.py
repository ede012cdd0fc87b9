"""``sttgate usage``: what was used, by day, key and provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sttgate.cli.options import config_option, json_option, read_config
from sttgate.cli.running import run
from sttgate.cli.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sttgate.config import Config
    from sttgate.stores import DayUsage

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--from", "first", type=_DAY, help="First day, UTC  [default: 30 days ago]")
@click.option("--to", "last", type=_DAY, help="Last day, UTC  [default: today]")
@json_option
@config_option
def usage(
    first: datetime | None, last: datetime | None, as_json: bool, config_file: Path | None
) -> None:
    """Show what sessions used: seconds of audio, by day, API key and provider.

    A session counts on the day it ended. RECEIVED is audio from clients; SENT what a provider was
    given, REPLAYED what of it another stream had been given before, OPEN how long its streams were
    open. Deleting a session does not change it.

    \b
    Examples:
      sttgate usage
      sttgate usage --from 2026-11-01 --to 2026-11-30 --json
    """
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    since = first or today - timedelta(days=30)
    until = (last or today) + timedelta(days=1)
    days = run(_read(read_config(config_file), since, until))
    if as_json:
        click.echo(json.dumps([asdict(day) for day in days], indent=2))
    elif not days:
        click.echo("No session ended in these days.", err=True)
    else:
        click.echo("\n".join(table(list(_lines(days)))))


async def _read(config: Config, since: datetime, until: datetime) -> Sequence[DayUsage]:
    store = config.transcripts.spec.factory(config.transcripts.options)
    await store.open()
    try:
        days: Sequence[DayUsage] = await store.usage(
            since.replace(tzinfo=UTC).timestamp(), until.replace(tzinfo=UTC).timestamp()
        )
        return days
    finally:
        await store.close()


def _lines(days: Sequence[DayUsage]) -> Iterator[tuple[str, ...]]:
    yield "DAY", "KEY", "SESSIONS", "RECEIVED", "PROVIDER", "SENT", "REPLAYED", "OPEN"
    for day in days:
        head = (day.day, day.owner or "-", str(day.sessions), _seconds(day, "audio_s"))
        providers = sorted({name.rpartition(".")[0] for name in day.usage if "." in name})
        for provider in providers or ["-"]:
            cells = (
                _seconds(day, f"{provider}.{what}") for what in ("sent_s", "replayed_s", "open_s")
            )
            yield (*head, provider, *cells)
            head = ("", "", "", "")


def _seconds(day: DayUsage, counter: str) -> str:
    return f"{day.usage.get(counter, 0.0):.1f} s"
