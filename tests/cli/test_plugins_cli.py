"""``sttgate plugins``."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from sttgate import PluginError
from sttgate.cli.plugins import plugins
from tests.config.support import ACME, install, provider_plugin, write


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a plugin in each state, one of them installed."""
    site = write(tmp_path / "site", {"listed_plugin.py": provider_plugin("listed")})
    install(monkeypatch, tmp_path / "nothing", {})
    install(
        monkeypatch, site, {"listed": "listed_plugin"}, distribution="listed-stt", version="7.8"
    )
    files = {
        "config.yaml": "plugins: {dirs: [plugins, none], disabled: [off]}",
        "plugins/lab.py": ACME,
        "plugins/bad.py": "1/0",
        "plugins/off.py": "1/0",
    }
    home = write(tmp_path / "home", files)
    monkeypatch.chdir(home)
    monkeypatch.delenv("STTGATE_CONFIG", raising=False)
    return home


def call(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(plugins, arguments, env=environment)


class TestList:
    def test_table(self, home: Path) -> None:
        """Every plugin is a line: its state, where it comes from, what it offers; errors are apart."""
        result = call("list")
        assert result.exit_code == 0
        lines = {line.split()[0]: line.split() for line in result.stdout.splitlines()}
        assert lines["listed"][1:5] == ["loaded", "entry", "point", "7.8"]
        assert lines["lab"][1:3] == ["loaded", "folder"]
        assert "recording store blobs" in result.stdout
        assert lines["off"][1] == "disabled"
        assert lines["bad"][1] == "broken"
        assert lines["bad"][-1] == str(home / "plugins" / "bad.py")
        assert "ZeroDivisionError" in result.stderr
        assert "No such file" in result.stderr

    def test_json(self, home: Path) -> None:
        """As JSON, every plugin has the same fields, and a broken one its error."""
        rows = {row["name"]: row for row in json.loads(call("list", "--json").stdout)}
        assert len({tuple(sorted(row)) for row in rows.values()}) == 1
        assert rows["listed"] == {
            "name": "listed",
            "state": "loaded",
            "origin": "entry point",
            "distribution": "listed-stt",
            "version": "7.8",
            "file": str(home.parent / "site" / "listed_plugin.py"),
            "offers": ["provider listed"],
            "error": None,
        }
        assert "`plugins: {disabled: [bad]}`" in rows["bad"]["error"]
        assert rows[None]["file"] == str(home / "none")


class TestShow:
    def test_options(self) -> None:
        """A provider is shown with its options, their variables, and what it can do."""
        result = call("show", "acme")
        assert result.exit_code == 0
        assert "provider acme: Acme Speech" in result.stdout
        words = [line.split() for line in result.stdout.splitlines()]
        assert ["key", "secret", "$ACME_KEY", "Key", "of", "the", "account."] in words
        assert ["threads", "whole", "number", ">", "0", "1"] in words
        assert ["diarize", "yes"] in words

    def test_plugin(self) -> None:
        """The name of a plugin shows all it offers."""
        pages = json.loads(call("show", "lab", "--json").stdout)
        assert [page["name"] for page in pages] == ["acme", "rows", "blobs"]
        assert [page["kind"] for page in pages] == [
            "provider",
            "transcript store",
            "recording store",
        ]
        assert pages[2]["options"][0]["required"] is True
        assert pages[0]["capabilities"]["diarize"] is True
        assert pages[1]["capabilities"] is None

    def test_provider_that_cannot_be_made(self, home: Path) -> None:
        """Without what it needs to work, the class tells what a provider can do, or nobody does."""
        refusing = ACME.replace("self.options = options", "raise sttgate.NotConfigured('no key')")
        write(home, {"plugins/lab.py": refusing})
        assert "diarize           yes" in call("show", "acme").stdout
        assert "once it is configured" in call("show", "listed").stdout

    def test_no_secret_is_shown(self) -> None:
        """Keys in the environment do not show."""
        assert "hunter2" not in call("show", "acme", ACME_KEY="hunter2").output

    def test_unknown(self) -> None:
        """An unknown name is told with those there are; a broken plugin with what is wrong."""
        result = call("show", "acne")
        assert result.exit_code == 1
        assert "There is no plugin 'acne'; there are acme, blobs, listed, rows." in result.stderr
        assert isinstance(call("show", "bad").exception, PluginError)


def test_groups_have_help() -> None:
    """Every command of both groups has a text and an example."""
    from sttgate.cli.config import config

    for group in (plugins, config):
        for command in group.commands.values():
            assert isinstance(command, click.Command)
            assert "Example" in (command.help or "")
