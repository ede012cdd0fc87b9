"""Options that several commands share, and what they lead to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sttgate.config import Config
    from sttgate.plugins import Plugins


def _settings(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    settings = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not (key and equals):
            raise click.BadParameter("write it as key.path=value, such as server.port=9000.")
        settings[key.strip()] = text
    return settings


config_option = click.option(
    "-c",
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Configuration file  [default: $STTGATE_CONFIG, else ./config.yaml]",
)
"""``-c FILE``; the command takes ``config_file: Path | None``."""

set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_settings,
    help="Override a key of the configuration, such as server.port=9000; may be repeated.",
)
"""``--set server.port=9000``; the command takes ``overrides: dict[str, str]``."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""``--json``; the command takes ``as_json: bool``."""


def read_config(
    config_file: Path | None,
    overrides: Mapping[str, str] | None = None,
    plugins: Plugins | None = None,
) -> Config:
    """Load the configuration a command was given; raises ConfigError with every mistake in it.

    ``plugins`` are those already loaded, if any.
    """
    from sttgate.config import find_config, load_config

    cwd, environ = Path.cwd(), os.environ
    path = config_file or find_config(cwd, environ)
    return load_config(path, environ=environ, overrides=overrides or {}, cwd=cwd, plugins=plugins)


def read_plugins(config_file: Path | None) -> Plugins:
    """Load the plugins of a configuration that may be wrong in other respects."""
    from sttgate.config import find_config, load_plugins

    cwd, environ = Path.cwd(), os.environ
    return load_plugins(config_file or find_config(cwd, environ), environ=environ, cwd=cwd)
