"""``sttgate config``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sttgate.cli.config import config
from sttgate.errors import ConfigError
from tests.config.support import ACME, CHECKOUT, STORES, install, write

GOOD = "providers: {acme: {key: hunter2}}" + STORES


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a good configuration, and no installed plugins."""
    install(monkeypatch, tmp_path / "nothing", {})
    home = write(tmp_path / "home", {"config.yaml": GOOD, "plugins/lab.py": ACME})
    monkeypatch.chdir(home)
    monkeypatch.delenv("STTGATE_CONFIG", raising=False)
    return home


def call(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(config, arguments, env=environment)


class TestCheck:
    def test_good(self) -> None:
        """A good configuration exits with 0 and prints nothing on standard output."""
        result = call("check")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "is good; the chain is acme" in result.stderr

    def test_mistakes(self, home: Path) -> None:
        """Mistakes are lines on standard output with file, line and column, and exit with 1."""
        write(home, {"config.yaml": GOOD + "server: {prot: 1}\nspol:"})
        result = call("check")
        assert result.exit_code == 1
        assert result.stdout == (
            "config.yaml:5:10 server.prot: unknown key (did you mean 'port'?)\n"
            "config.yaml:6:1 spol: unknown key (did you mean 'spool'?)\n"
        )
        assert result.stderr == "2 mistakes to mend.\n"

    def test_warnings(self, home: Path) -> None:
        """Warnings exit with 0, and with 2 if they are to be taken seriously."""
        write(home, {"config.yaml": GOOD.replace("dirs:", "disabled: [nobody], dirs:")})
        assert call("check").exit_code == 0
        result = call("check", "--strict")
        assert result.exit_code == 2
        assert "plugins.disabled[0]: there is no plugin" in result.stdout
        assert "a warning" in result.stdout

    @pytest.mark.parametrize("arguments", [["other.yaml"], ["-c", "other.yaml"], []])
    def test_which_file(self, home: Path, arguments: list[str]) -> None:
        """The file is the argument, the option, or what STTGATE_CONFIG names."""
        write(home, {"other.yaml": GOOD + "x: 1"})
        result = call("check", *arguments, STTGATE_CONFIG="" if arguments else "other.yaml")
        assert result.exit_code == 1
        assert result.stdout.startswith("other.yaml:5:1 x: unknown key")

    def test_two_files(self) -> None:
        """Naming two files is a mistake in usage."""
        assert call("check", "a.yaml", "-c", "b.yaml").exit_code == 2

    def test_no_such_file(self) -> None:
        """A file that is not there is told, with the command that makes one."""
        result = call("check", "none.yaml")
        assert result.exit_code == 1
        assert "sttgate config init none.yaml" in result.stdout

    def test_settings(self) -> None:
        """``--set`` counts, and has to be written as key and value."""
        assert "--set server.port: must be" in call("check", "--set", "server.port=x").stdout
        assert call("check", "--set", "server.port").exit_code == 2


class TestShow:
    def test_effective(self) -> None:
        """The effective configuration is printed as YAML, with secrets only on request."""
        result = call("show", "--set", "server.port=9", STTGATE__SERVER__HOST="example.org")
        assert result.exit_code == 0
        assert "host: example.org\n  port: 9" in result.stdout
        assert "hunter2" not in result.stdout
        assert "hunter2" in call("show", "--no-redact").stdout

    def test_mistakes(self, home: Path) -> None:
        """A configuration that cannot be used is an error for the root command to tell."""
        write(home, {"config.yaml": "x: 1"})
        assert isinstance(call("show").exception, ConfigError)


def test_schema(home: Path) -> None:
    """The schema is JSON on standard output, also if a plugin or another section is broken."""
    write(home, {"plugins/bad.py": "1/0", "config.yaml": "server: 5"})
    result = call("schema")
    assert result.exit_code == 0
    assert "provider.acme" in json.loads(result.stdout)["$defs"]
    assert "Left out: plugin 'bad'" in result.stderr


class TestInit:
    def test_writes_the_shipped_file(self, home: Path) -> None:
        """The commented configuration and a folder for plugins are made, in a new folder as well."""
        assert call("init", "new/place/gate.yaml").exit_code == 0
        shipped = (CHECKOUT / "sttgate" / "config" / "default.yaml").read_text("utf-8")
        assert (home / "new" / "place" / "gate.yaml").read_text("utf-8") == shipped
        assert (home / "new" / "place" / "plugins").is_dir()

    def test_folder(self, home: Path) -> None:
        """In a folder, the file is called config.yaml."""
        (home / "etc").mkdir()
        assert call("init", "etc").exit_code == 0
        assert (home / "etc" / "config.yaml").is_file()

    def test_does_not_overwrite(self, home: Path) -> None:
        """A file that is there stays as it is without ``--force``."""
        result = call("init")
        assert result.exit_code == 1
        assert "config.yaml exists already (--force writes over it)" in result.stderr
        assert (home / "config.yaml").read_text() == GOOD
        assert call("init", "--force").exit_code == 0
        assert (home / "config.yaml").read_text() != GOOD

    def test_cannot_write(self, home: Path) -> None:
        """Where nothing can be written, the error says so in a sentence."""
        write(home, {"file": ""})
        result = call("init", "file/config.yaml")
        assert result.exit_code == 1
        assert "cannot be written: Not a directory." in result.stderr


@pytest.mark.parametrize("module", ["config", "plugins", "options"])
def test_light(module: str) -> None:
    """The commands can be listed without loading YAML, pydantic or any plugin."""
    code = f"import sys, sttgate.cli.{module}; print(*{{'yaml', 'pydantic', 'pluggy'}} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""
