"""Run the conformance kit against a plugin: pytest in a process of its own, on a file made for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sttgate.cli.options import read_config, read_plugins

if TYPE_CHECKING:
    from pydantic import BaseModel

    from sttgate.config.model import StoreConfig
    from sttgate.plugins import Offer
    from sttgate.provider import ProviderSpec
    from sttgate.stores import StoreSpec

KITS = {
    "provider": ("ProviderTests", "provider"),
    "transcript store": ("TranscriptStoreTests", "store"),
    "recording store": ("RecordingStoreTests", "store"),
}
MARKS = {"passed": "✓", "failed": "✗", "skipped": "-", "xfailed": "!"}
_NEEDED = ("pytest", "pytest_asyncio")

# The kit is for tests, so nothing that ships imports it: the file that pytest runs does.
_FILE = """\
from pathlib import Path

import pytest

from sttgate.cli.trial import subject
from sttgate.testing import {kit}


class TestPlugin({kit}):
    @pytest.fixture
    def {fixture}(self, tmp_path):
        config = {config!r}
        return subject({kind!r}, {name!r}, config and Path(config), tmp_path).make()
"""
_SPEECH = """\

    @pytest.fixture
    def speech(self, params):
        from sttgate.cli.trial import read_speech

        return read_speech(Path({speech!r}), params.sample_rate)
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tested, with its options."""

    kind: str
    name: str
    spec: ProviderSpec | StoreSpec
    options: BaseModel

    def make(self) -> Any:
        """Return the provider or store, not yet opened."""
        return self.spec.factory(self.options)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one test went; ``outcome`` is passed, failed, skipped or xfailed."""

    test: str
    outcome: str
    reason: str
    about: str
    meaning: str


def subject(kind: str | None, name: str, config_file: Path | None, folder: Path) -> Subject:
    """Find what is called ``name``: as configured, else with the options it has by default.

    Paths among the options of a store are replaced by paths in ``folder``, so that no test touches
    what is stored. Raises ClickException when there is nothing, or it has nothing to work with.
    """
    from sttgate.config.options import from_environment
    from sttgate.errors import ConfigError

    found = read_plugins(config_file)
    try:
        config = read_config(config_file)
    except ConfigError:
        config = None  # such as a chain without a key; the plugin can be tested all the same
    if config is not None and kind in (None, "provider") and name in config.providers:
        block = config.providers[name]
        return Subject("provider", name, block.spec, block.options)
    chosen: dict[str, StoreConfig] = {}
    if config is not None:
        chosen = {"transcript store": config.transcripts, "recording store": config.recordings}
    offers: dict[str, Mapping[str, Offer[Any]]] = {
        "provider": found.providers,
        "transcript store": found.transcript_stores,
        "recording store": found.recording_stores,
    }
    for each, known in offers.items():
        if kind not in (None, each) or name not in known:
            continue
        spec: ProviderSpec | StoreSpec = known[name].spec
        section = chosen.get(each)
        options: BaseModel
        if section is not None and section.spec.name == name:
            options = section.options
        else:
            given = from_environment(spec.options, os.environ)
            try:
                options = spec.options(**{key: value for key, (_, value) in given.items()})
            except ValueError as error:
                raise click.ClickException(
                    f"The {each} '{name}' needs options: configure it ({_first_line(error)})."
                ) from error
        return Subject(each, name, spec, options if each == "provider" else _moved(options, folder))
    names = sorted({each for known in offers.values() for each in known})
    raise click.ClickException(
        f"There is no provider or store '{name}'; there are {', '.join(names) or 'none'}."
    )


def read_speech(path: Path, sample_rate: int) -> bytes:
    """Read a WAV file as mono PCM at ``sample_rate``."""
    import wave

    from sttgate.audio import AudioFormat, Converter

    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise click.ClickException(f"{path} is not 16-bit PCM; convert it first.")
            source = AudioFormat(file.getframerate(), file.getnchannels())
            pcm = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise click.ClickException(f"{path} cannot be read as WAV: {error}.") from error
    converter = Converter(source, None, sample_rate)
    return converter.convert(pcm) + converter.flush()


def try_out(name: str, config_file: Path | None, speech: Path | None) -> tuple[str, list[Verdict]]:
    """Run the kit against ``name``; return what kind of thing it is, and how each test went."""
    from sttgate.errors import NotConfigured

    missing = [module for module in _NEEDED if find_spec(module) is None]
    if missing:
        raise click.ClickException(
            f"The tests need {' and '.join(missing)}: pip install 'sttgate[testing]'."
        )
    with tempfile.TemporaryDirectory(prefix="sttgate-test-") as place:
        folder = Path(place)
        tested = subject(None, name, config_file, folder)
        try:
            tested.make()
        except NotConfigured as error:
            raise click.ClickException(f"'{name}' has nothing to work with: {error}.") from error
        kit, fixture = KITS[tested.kind]
        config = str(config_file.absolute()) if config_file else None
        source = _FILE.format(kit=kit, fixture=fixture, kind=tested.kind, name=name, config=config)
        if speech is not None and tested.kind == "provider":
            read_speech(speech, 16_000)
            source += _SPEECH.format(speech=str(speech.absolute()))
        return tested.kind, _run(folder, source)


def _run(folder: Path, source: str) -> list[Verdict]:
    test, report = folder / "test_plugin.py", folder / "report.jsonl"
    test.write_text(source, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-c", str(folder / "pytest.ini"), f"--basetemp={folder / 'tmp'}"]
    command += ["-p", "sttgate.testing.report", f"--sttgate-report={report}", str(test)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = report.read_text("utf-8").splitlines() if report.exists() else []
    if not lines:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise click.ClickException(f"pytest could not run the tests: {last[0]}")
    return [_verdict(json.loads(line)) for line in lines]


def _verdict(line: Mapping[str, str]) -> Verdict:
    about, _, meaning = line["doc"].partition("\n\n")
    return Verdict(
        line["test"].partition("::")[2],
        line["outcome"],
        line["reason"],
        " ".join(about.split()),
        " ".join(meaning.split()),
    )


def printed(kind: str, name: str, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield the lines of the report."""
    for verdict in verdicts:
        yield f"{MARKS[verdict.outcome]} {verdict.about} [{verdict.test}]"
        if verdict.reason:
            yield f"    {verdict.outcome}: {verdict.reason}"
        if verdict.outcome == "failed" and verdict.meaning:
            yield f"    {verdict.meaning}"
    counts = {outcome: sum(v.outcome == outcome for v in verdicts) for outcome in MARKS}
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    yield f"{kind} {name}: {told}"


def _moved(options: BaseModel, folder: Path) -> BaseModel:
    paths = {key: folder / value.name for key, value in options if isinstance(value, Path)}
    return options.model_copy(update=paths)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).splitlines()[:2])
