"""``sttgate doctor``: look at everything the gateway needs, and say what to do."""

from __future__ import annotations

import platform
import shutil
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sttgate.cli.options import config_option, json_option, read_config
from sttgate.cli.running import run

if TYPE_CHECKING:
    from sttgate.config import Config

_MARKS = {"ok": "✓", "warning": "!", "error": "✗"}
_MIN_FREE = 500 * 1024**2  # bytes; four hours of 16 kHz audio


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    level: Literal["ok", "warning", "error"]
    subject: str
    message: str


@click.command()
@click.option("--online", is_flag=True, help="Also ask each provider whether it can be reached.")
@json_option
@config_option
@click.pass_context
def doctor(ctx: click.Context, online: bool, as_json: bool, config_file: Path | None) -> None:
    """Check this installation and say what to do; exit 1 if something is broken."""
    findings = list(_findings(config_file, online))
    if as_json:
        import json

        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{_MARKS[finding.level]} {finding.subject}: {finding.message}")
    if any(finding.level == "error" for finding in findings):
        ctx.exit(1)


def _findings(config_file: Path | None, online: bool) -> Iterator[Finding]:
    yield Finding("ok", "Python", f"{platform.python_version()} on {sys.platform}")
    yield _full_text_search()
    from sttgate.errors import ConfigError

    try:
        config = read_config(config_file)
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("error", "configuration", str(problem))
        return
    yield Finding("ok", "configuration", str(config.path or "none; shipped defaults"))
    for warning in config.warnings:
        yield Finding("warning", "configuration", str(warning))
    yield _access(config)
    yield _port(config.server.host, config.server.port)
    yield _folder(config.spool.path)
    yield from run(_services(config, online))


def _access(config: Config) -> Finding:
    from sttgate.access.gate import Gate
    from sttgate.access.keys import KeyFileError

    gate, host = Gate.from_config(config), config.server.host
    if not gate.enforced:
        if not config.access.insecure:
            return Finding("ok", "access", f"{host} is this machine only; nobody needs a key")
        message = f"{host} lets everybody in who reaches it; set access.insecure to false"
        return Finding("error", "access", message)
    try:
        gate.keys.refresh()
    except KeyFileError as error:
        return Finding("error", "access", str(error))
    now = time.time()
    if holding := sum(key.holds(now) for key in gate.keys):
        return Finding("ok", "access", f"{host} asks for a key; {holding} can be used")
    if config.access.jwt is not None:
        return Finding("ok", "access", f"{host} takes tokens of {config.access.jwt.issuer}")
    message = f"{host} asks for a key, and there is none; run `sttgate keys create NAME`"
    return Finding("error", "access", message)


def _full_text_search() -> Finding:
    with sqlite3.connect(":memory:") as connection:
        options = {row[0] for row in connection.execute("PRAGMA compile_options")}
    connection.close()
    if "ENABLE_FTS5" in options:
        return Finding("ok", "SQLite", f"{sqlite3.sqlite_version} with full-text search")
    message = f"{sqlite3.sqlite_version} has no FTS5; use a Python whose SQLite has it"
    return Finding("error", "SQLite", message)


def _port(host: str, port: int) -> Finding:
    try:
        with socket.create_server((host, port)):
            return Finding("ok", "port", f"{host}:{port} is free")
    except OSError as error:
        message = f"{host}:{port}: {error.strerror}; stop what uses it or set server.port"
        return Finding("warning", "port", message)


def _folder(path: Path) -> Finding:
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".doctor"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Finding("error", "spool", f"{path}: {error.strerror}; make it writable")
    if (free := shutil.disk_usage(path).free) < _MIN_FREE:
        return Finding("warning", "spool", f"{path}: only {free // 1024**2} MiB are free")
    return Finding("ok", "spool", f"{path} is writable, {free // 1024**3} GiB free")


async def _services(config: Config, online: bool) -> list[Finding]:
    """Look at stores and providers the way the gateway would use them."""
    from sttgate.errors import NotConfigured, ProviderError, StoreError

    findings = []
    for subject, section in (
        ("transcripts", config.transcripts),
        ("recordings", config.recordings),
    ):
        store = section.spec.factory(section.options)
        try:
            await store.open()
            try:
                await store.check()
            finally:
                await store.close()
            findings.append(Finding("ok", subject, f"{section.spec.name} works"))
        except StoreError as error:
            findings.append(Finding("error", subject, str(error)))
    usable = 0
    for name in config.chain:
        block = config.providers[name]
        try:
            provider = block.spec.factory(block.options)
            usable += 1
            if online:
                await provider.open()
                try:
                    await provider.check()
                finally:
                    await provider.close()
            findings.append(Finding("ok", name, "answers" if online else "is configured"))
        except NotConfigured as error:
            findings.append(Finding("warning", name, f"skipped: {error}"))
        except ProviderError as error:
            findings.append(Finding("error", name, str(error)))
    if not usable:
        message = "no provider can be used; give one what it needs, as said above"
        findings.append(Finding("error", "chain", message))
    return findings
