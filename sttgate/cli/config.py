"""``sttgate config``: check, show and start a configuration."""

from __future__ import annotations

from pathlib import Path

import click

from sttgate.cli.options import config_option, read_config, read_plugins, set_option


@click.group()
def config() -> None:
    """Check, show and start a configuration."""


@config.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Exit with 2 if there are warnings.")
@config_option
@set_option
@click.pass_context
def check(
    context: click.Context,
    file: Path | None,
    strict: bool,
    config_file: Path | None,
    overrides: dict[str, str],
) -> None:
    """Find every mistake in FILE, with the place of each.

    Exits with 0 if there is none, with 1 if there is one.

    \b
    Examples:
      sttgate config check
      sttgate config check /etc/sttgate/config.yaml --strict
    """
    from sttgate.errors import ConfigError

    if file and config_file:
        raise click.UsageError("Name the file once, as FILE or with --config.")
    try:
        checked = read_config(file or config_file, overrides)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem))
        count = len(error.problems)
        click.echo(f"{count} mistake{'' if count == 1 else 's'} to mend.", err=True)
        context.exit(1)
    for warning in checked.warnings:
        click.echo(f"{warning} (a warning)")
    name = checked.path or "The shipped configuration"
    click.echo(f"{name} is good; the chain is {', then '.join(checked.chain)}.", err=True)
    if strict and checked.warnings:
        context.exit(2)


@config.command()
@click.option("--redact/--no-redact", default=True, help="Hide secrets.  [default: redact]")
@config_option
@set_option
def show(redact: bool, config_file: Path | None, overrides: dict[str, str]) -> None:
    """Print the configuration in effect: file, environment, options and defaults together.

    \b
    Examples:
      sttgate config show
      STTGATE__SERVER__PORT=9000 sttgate config show
    """
    click.echo(read_config(config_file, overrides).dump(redact=redact), nl=False)


@config.command()
@config_option
def schema(config_file: Path | None) -> None:
    """Print a JSON Schema of config.yaml that knows the options of the installed plugins.

    \b
    Example:
      sttgate config schema > sttgate.schema.json
    and as the first line of config.yaml
      # yaml-language-server: $schema=sttgate.schema.json
    """
    import json

    from sttgate.config.schema import json_schema

    plugins = read_plugins(config_file)
    for error in plugins.errors:
        click.echo(f"Left out: {error}", err=True)
    click.echo(json.dumps(json_schema(plugins), indent=2, ensure_ascii=False))


@config.command()
@click.argument("path", default="config.yaml", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def init(path: Path, force: bool) -> None:
    """Write a configuration with comments to PATH, and a folder for plugins beside it.

    \b
    Examples:
      sttgate config init
      sttgate config init /etc/sttgate/
    """
    from importlib.resources import files

    if path.is_dir():
        path /= "config.yaml"
    try:
        # not for a group, whatever the umask: who can write there can run code
        (path.parent / "plugins").mkdir(mode=0o755, parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(files("sttgate.config").joinpath("default.yaml").read_text("utf-8"))
    except FileExistsError as error:
        hint = " (--force writes over it)" if error.filename == str(path) else ""
        raise click.ClickException(f"{error.filename} exists already{hint}.") from error
    except OSError as error:
        raise click.ClickException(
            f"{error.filename} cannot be written: {error.strerror}."
        ) from error
    click.echo(f"Wrote {path}; `sttgate serve -c {path}` uses it.", err=True)
