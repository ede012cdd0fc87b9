"""The first five minutes: what README.md tells a newcomer to type works."""

from __future__ import annotations

import re
import tomllib
import wave
from pathlib import Path

import pytest

from sttgate.testing import tone
from tests.docs.pages import ROOT, block, blocks, read
from tests.docs.processes import environment, run, serving

pytestmark = pytest.mark.timeout(240)  # several processes, on a machine that may be busy

SERVE = "pip install uv && uv run sttgate serve"
TEST = "pip install uv && uv run pytest"


def write_wav(path: Path, seconds: float = 1.0, sample_rate: int = 16_000) -> Path:
    """Write a tone as a WAV file."""
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(sample_rate)
        wav.writeframes(tone(seconds, sample_rate))
    return path


def test_readme_begins_with_the_two_commands() -> None:
    """The first two blocks are the two commands, each alone, and the third uses the gateway."""
    first, second, third, *_ = (each.text for each in blocks(read("README.md")))
    assert (first, second) == (f"{SERVE}\n", f"{TEST}\n")
    assert third == "uv run sttgate transcribe FILE.wav\n"


def test_readme_shows_the_console() -> None:
    """The picture is there, small enough for a page, and told to those who do not see it."""
    alt, path = re.findall(r"!\[([^\]]+)\]\((docs/[^)]+\.png)\)", read("README.md"))[0]
    picture = (ROOT / path).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 150_000
    assert len(alt) > 40


def test_project_has_what_the_commands_need() -> None:
    """uv finds the script, and pytest among the tools it installs by itself."""
    project = tomllib.loads(read("pyproject.toml"))
    assert project["project"]["scripts"]["sttgate"] == "sttgate.cli:main"
    dev = project["dependency-groups"]["dev"]
    assert any(each.startswith("pytest>") for each in dev)
    [extras] = [re.findall(r"\w+", each)[1:] for each in dev if each.startswith("sttgate[")]
    assert "local" in extras  # the engine that needs no key


async def test_serve_and_transcribe_run_without_configuration(tmp_path: Path) -> None:
    """In an empty folder, without a key, the gateway serves, and a file can be transcribed."""
    wav = write_wav(tmp_path / "FILE.wav")
    async with serving(cwd=tmp_path) as url:
        there = await run("-m", "sttgate", "transcribe", "--server", url, wav.name, cwd=tmp_path)
        assert there.code == 0, there.err
        here = await run("-m", "sttgate", "transcribe", wav.name, cwd=tmp_path)
        assert here.code == 0, here.err
    listed = await run("-m", "sttgate", "sessions", "list", cwd=tmp_path)
    assert listed.out.count("completed") == 2, listed


def test_serve_listens_where_the_readme_says() -> None:
    """Without a configuration the address is 127.0.0.1:8000."""
    from sttgate.config import load_config

    config = load_config(None, environ={}, cwd=ROOT / "docs")
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8000)


async def test_snippet_prints_finals(tmp_path: Path) -> None:
    """The Python of the README, saved to a file, prints what is said."""
    (tmp_path / "config.yaml").write_text(block("docs/configuration.md", "echo-only"))
    async with serving(cwd=tmp_path) as url:
        code = block("README.md", "quick.py").replace(
            "ws://127.0.0.1:8000", url.replace("http", "ws", 1)
        )
        (tmp_path / "quick.py").write_text(code)
        done = await run("quick.py", cwd=tmp_path, env=environment(), stdin=tone(4.0))
    assert done.out.splitlines()[0] == "Hello there.", done
