"""The ``sttgate`` command: each subcommand in a file of its own, imported when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click

from sttgate.cli.failures import INTERRUPTED, explain

# name -> where it is and its line in the help, so that --help imports none of them
_COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("serve:serve", "Serve live speech-to-text (the default)."),
    "transcribe": ("transcribe:transcribe", "Turn audio files into text."),
    "listen": ("listen:listen", "Turn what is said into a microphone into text."),
    "sessions": ("sessions:sessions", "List and show stored conversations."),
    "usage": ("usage:usage", "Show what was used, by day, key and provider."),
    "keys": ("keys:keys", "Make, list and revoke API keys."),
    "plugins": ("plugins:plugins", "List the plugins and show their options."),
    "new-plugin": ("new_plugin:new_plugin", "Make a project for a plugin of your own."),
    "config": ("config:config", "Check, show and start a configuration."),
    "doctor": ("doctor:doctor", "Check this installation and say what to do."),
}


_FLAGS = ("--debug", "--version", "--help")


class _Root(click.Group):
    """Resolves commands by name and turns errors into a sentence and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"sttgate.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS:
            from difflib import get_close_matches

            close = get_close_matches(args[0], _COMMANDS, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Have ``sttgate --port 9000`` mean ``sttgate serve --port 9000``."""
        at = next((n for n, arg in enumerate(args) if arg not in _FLAGS), len(args))
        if "--help" not in args[:at] and (at == len(args) or args[at].startswith("-")):
            args = [*args[:at], "serve", *args[at:]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except Exception as error:
            # What click raises, and a pipe that nobody reads any more, are click's affair.
            foreign = isinstance(error, click.ClickException | click.exceptions.Exit | click.Abort)
            if foreign or isinstance(error, BrokenPipeError) or ctx.params.get("debug"):
                raise
            sentence, code = explain(error)
            click.echo(sentence, err=True)
            ctx.exit(code)


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"sttgate {version('sttgate')}")
        ctx.exit()


@click.group(cls=_Root)
@click.option("--debug", is_flag=True, help="Show tracebacks and debug logs.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def root(debug: bool) -> None:
    """sttgate: a gateway for live speech-to-text.

    \b
    Examples:
      sttgate serve
      sttgate transcribe talk.wav
      sttgate sessions show latest

    Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration, 4 provider, 130 interrupted.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; the entry point of the ``sttgate`` script."""
    root.main(args, prog_name="sttgate")
