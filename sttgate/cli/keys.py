"""``sttgate keys``: who may use a gateway that asks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sttgate.cli.options import config_option, json_option, read_config
from sttgate.cli.tables import table

if TYPE_CHECKING:
    from sttgate.access.keys import Key, KeyFile
    from sttgate.access.principal import Scope

_SCOPES = ("transcribe", "read", "delete", "admin")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class _Span(click.ParamType):  # type: ignore[type-arg]
    """A time span such as 30m, 12h, 90d or 4w."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        match = re.fullmatch(r"([1-9]\d{0,5})([mhdw])", str(value))
        if match is None:
            self.fail(f"{value!r} is no time span; write it like 30m, 12h, 90d or 4w.", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.group()
def keys() -> None:
    """Make, list and revoke API keys. A running gateway notices within a second."""


@keys.command()
@click.argument("name")
@click.option(
    "-s",
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(_SCOPES),
    help="What it may do; may be repeated  [default: transcribe and read]",
)
@click.option("--expires", type=_Span(), metavar="SPAN", help="When it ends, such as 90d or 12h.")
@click.option("--max-sessions", type=click.IntRange(1), help="Sessions at a time.")
@json_option
@config_option
def create(
    name: str,
    scopes: tuple[Scope, ...],
    expires: timedelta | None,
    max_sessions: int | None,
    as_json: bool,
    config_file: Path | None,
) -> None:
    """Make a key and print it, this once; NAME is for people to know it by.

    A key sees the sessions it opened itself; one with the scope `admin` may do everything and sees
    all.

    \b
    Examples:
      sttgate keys create meeting-room
      sttgate keys create ops --scope admin --expires 90d
    """
    ends = (datetime.now(UTC) + expires).timestamp() if expires is not None else None
    key, presented = _file(config_file).create(
        name, scopes or ("transcribe", "read"), ends, max_sessions
    )
    if as_json:
        click.echo(json.dumps({**_row(key), "key": presented}))
        return
    click.echo(presented)
    click.echo(
        f"This is the key {key.id} ({name}). Keep it: it cannot be shown again. Clients send it as\n"
        "  Authorization: Bearer KEY",
        err=True,
    )


@keys.command("list")
@json_option
@config_option
def list_(as_json: bool, config_file: Path | None) -> None:
    """List the keys, but not the secrets: nobody has those.

    \b
    Example:
      sttgate keys list
    """
    file = _file(config_file)
    file.refresh()
    rows = [_row(key) for key in file]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif not rows:
        click.echo("There is no key; make one with `sttgate keys create NAME`.", err=True)
    else:
        click.echo("\n".join(table(list(_cells(rows)))))


@keys.command()
@click.argument("key", metavar="ID")
@config_option
def revoke(key: str, config_file: Path | None) -> None:
    """End a key now, and the sessions that were opened with it.

    \b
    Example:
      sttgate keys revoke 3f2a9c01b7de
    """
    if _file(config_file).revoke(key) is None:
        raise click.BadParameter(f"there is no key {key!r}; `sttgate keys list` shows them.")
    click.echo(f"The key {key} is revoked.", err=True)


def _file(config_file: Path | None) -> KeyFile:
    from sttgate.access.keys import KeyFile

    return KeyFile(read_config(config_file).access.keys)


def _row(key: Key) -> dict[str, Any]:
    now = datetime.now(UTC).timestamp()
    state = "revoked" if key.revoked_at is not None else "valid" if key.holds(now) else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "state": state,
        "scopes": list(key.scopes),
        "created_at": _instant(key.created_at),
        "expires_at": _instant(key.expires_at),
        "max_sessions": key.max_sessions,
    }


def _instant(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _cells(rows: list[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    yield "ID", "NAME", "STATE", "SCOPES", "CREATED", "EXPIRES"
    for row in rows:
        scopes, expires = ",".join(row["scopes"]), row["expires_at"] or "-"
        yield row["id"], row["name"], row["state"], scopes, row["created_at"], expires
