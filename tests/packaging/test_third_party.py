"""Plugins of other people: a file dropped into a folder, and a project installed with pip."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import assert_explained, configure, conversation, run, serve, write_wav
from tests.packaging.installing import OFFLINE, PIP, call

PLUGIN = '''
"""A provider that knows one word."""

from typing import Annotated

from pydantic import Field

from sttgate import Options, Provider, ProviderSpec, Transcript, hookimpl


class ParrotOptions(Options):
    word: str = "hello"
    """What it says."""
    times: Annotated[int, Field(gt=0)] = 1


class Parrot(Provider):
    def __init__(self, options):
        self._text = " ".join([options.word] * options.times)

    async def transcribe(self, audio, params):
        size = 0
        async for item in audio:
            if isinstance(item, bytes):
                size += len(item)
        end = size / 2 / params.sample_rate
        yield Transcript(text=self._text, start=0.0, end=end, is_final=True, endpoint=True)


@hookimpl
def sttgate_providers():
    return [ProviderSpec(name="parrot", factory=Parrot, options=ParrotOptions, summary="Says it")]
'''
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "sttgate-parrot"
version = "3.1"
dependencies = ["sttgate"]

[project.entry-points.sttgate]
parrot = "sttgate_parrot"

[tool.setuptools]
py-modules = ["sttgate_parrot"]
"""
SECTIONS = {
    "providers": {"parrot": {"word": "ahoy", "times": 2}},
    "chain": ["parrot"],
    "plugins": {"dirs": []},
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the project."""
    folder = tmp_path_factory.mktemp("third-party")
    source = folder / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "sttgate_parrot.py").write_text(PLUGIN)
    call(*PIP, "install", *OFFLINE, "--target", folder / "site", source, cwd=folder)
    return folder / "site"


def row(out: str) -> dict[str, object]:
    """Return the row of the plugin in what ``plugins list --json`` printed."""
    (found,) = (row for row in json.loads(out) if "provider parrot" in row["offers"])
    return dict(found)


def test_dropped_in(tmp_path: Path) -> None:
    """A file in a configured folder is listed with its place, and serves sessions."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "acme.py").write_text(PLUGIN)
    configure(tmp_path, **SECTIONS | {"plugins": {"dirs": ["mine"]}})
    found = row(run(tmp_path, "plugins", "list", "--json").out)
    assert (found["name"], found["origin"], found["state"]) == ("acme", "folder", "loaded")
    assert found["file"] == str(tmp_path / "mine" / "acme.py")
    with serve(tmp_path) as (running, url):
        write_wav(tmp_path / "talk.wav", 0.5)
        ran = run(tmp_path, "transcribe", "--server", url, "talk.wav")
        assert (ran.code, ran.out) == (0, "ahoy ahoy\n")
        running.stop()
    assert conversation(tmp_path)["text"] == "ahoy ahoy"


def test_installed(tmp_path: Path, site: Path) -> None:
    """A project that pip installed is found by its entry point, and serves sessions."""
    configure(tmp_path, **SECTIONS)
    env = {"PYTHONPATH": str(site)}
    found = row(run(tmp_path, "plugins", "list", "--json", env=env).out)
    assert (found["name"], found["origin"], found["state"]) == ("parrot", "entry point", "loaded")
    assert (found["distribution"], found["version"]) == ("sttgate-parrot", "3.1")
    assert found["file"] == str(site / "sttgate_parrot.py")
    with serve(tmp_path, **env) as (running, url):
        write_wav(tmp_path / "talk.wav", 0.5)
        ran = run(tmp_path, "transcribe", "--server", url, "talk.wav")
        assert (ran.code, ran.out) == (0, "ahoy ahoy\n")
        running.stop()
    assert conversation(tmp_path, **env)["provider"] == "parrot"


def test_options(tmp_path: Path, site: Path) -> None:
    """The options of a stranger's plugin are shown and checked like those of our own."""
    env = {"PYTHONPATH": str(site)}
    shown = run(tmp_path, "plugins", "show", "parrot", env=env)
    assert "from sttgate-parrot 3.1" in shown.out
    assert "What it says." in shown.out
    configure(tmp_path, **SECTIONS | {"providers": {"parrot": {"times": 0, "wrd": "x"}}})
    ran = run(tmp_path, "serve", env=env)
    assert_explained(ran, 3, "providers.parrot.times: ", "providers.parrot.wrd: unknown key")


def test_same_plugin_twice(tmp_path: Path, site: Path) -> None:
    """Installed and dropped in at once is a mistake that names both, not a matter of luck."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "copy.py").write_text(PLUGIN)
    configure(tmp_path, **SECTIONS | {"plugins": {"dirs": ["plugins"]}})
    ran = run(tmp_path, "serve", env={"PYTHONPATH": str(site)})
    assert_explained(ran, 3, "copy.py", "'parrot'", str(site / "sttgate_parrot.py"), "disabled")


def test_removed(tmp_path: Path, site: Path) -> None:
    """Without the plugin, the configuration that uses it names what there is."""
    configure(tmp_path, **SECTIONS)
    ran = run(tmp_path, "serve")
    assert_explained(ran, 3, "providers.parrot: unknown type; installed: 'deepgram', 'echo'")
