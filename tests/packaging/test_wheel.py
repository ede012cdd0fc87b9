"""What is shipped: built, installed far from the checkout, and run there."""

from __future__ import annotations

import email
import json
import sys
import zipfile
from pathlib import Path

from tests.cli.commands import SCRIPT, configure, write_wav
from tests.packaging.checkout import CHECKOUT, CORE, PLUGINS, plugin_modules, pyproject
from tests.packaging.installing import Environment, build, call, copy_checkout


def shipped() -> set[str]:
    """Return what the wheel has to hold: all files of both folders, by their names when installed."""
    names = set()
    for folder, base in ((CORE, CHECKOUT), (PLUGINS, PLUGINS)):
        for path in folder.rglob("*"):
            parts = path.relative_to(base).parts
            leftover = any(p == "__pycache__" or p.endswith(".egg-info") for p in parts)
            if path.is_file() and not leftover:
                names.add("/".join(parts))
    return names


def content(wheel: Path) -> tuple[set[str], set[str]]:
    """Return the files of a wheel: the packages', and those of its ``dist-info``."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    return (
        {name for name in names if ".dist-info/" not in name},
        {name.partition(".dist-info/")[2] for name in names if ".dist-info/" in name},
    )


def test_content(wheel: Path) -> None:
    """The wheel has every file of ``sttgate`` and ``plugins``, data too, and nothing else."""
    packages, info = content(wheel)
    assert packages == shipped()
    assert {"sttgate/py.typed", "sttgate/config/default.yaml"} <= packages
    assert any(name.startswith("sttgate_sqlite/migrations/") for name in packages)
    assert {"METADATA", "entry_points.txt", "licenses/LICENSE"} <= info


def test_metadata(wheel: Path) -> None:
    """Name, version, Python and extras are those of pyproject.toml; the README is the description."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    project = pyproject()["project"]
    assert (metadata["Name"], metadata["Version"]) == ("sttgate", project["version"])
    assert metadata["Requires-Python"] == project["requires-python"]
    assert metadata.get_all("Provides-Extra") == list(project["optional-dependencies"])
    readme = (CHECKOUT / "README.md").read_text("utf-8")
    assert str(metadata.get_payload()).strip() == readme.strip()


def test_sdist(wheel: Path, tmp_path: Path) -> None:
    """The source distribution builds, and what is built from it is the same wheel."""
    sdist = build(copy_checkout(tmp_path / "source"), "sdist", tmp_path / "sdist")
    call(sys.executable, "-m", "tarfile", "-e", sdist, tmp_path / "unpacked", cwd=tmp_path)
    (source,) = (tmp_path / "unpacked").iterdir()
    again = build(source, "wheel", tmp_path / "again")
    assert again.name == wheel.name
    assert content(again) == content(wheel)


def test_plugins(installed: Environment, tmp_path: Path) -> None:
    """All seven shipped plugins are found in the installed wheel, and nowhere near the checkout."""
    ran = installed.run(tmp_path, "plugins", "list", "--json")
    assert (ran.code, ran.err) == (0, "")
    rows = json.loads(ran.out)
    assert {row["name"] for row in rows} == set(pyproject()["project"]["entry-points"]["sttgate"])
    assert len(rows) == len(plugin_modules()) == 7
    for row in rows:
        assert (row["state"], row["origin"]) == ("loaded", "built-in")
        assert Path(row["file"]).is_relative_to(installed.site.resolve()), row["file"]


def test_transcribe(installed: Environment, tmp_path: Path) -> None:
    """Audio becomes stored text with nothing but the wheel: configuration, migrations, stores."""
    assert installed.run(tmp_path, "config", "init").code == 0
    configure(tmp_path)
    write_wav(tmp_path / "talk.wav")
    ran = installed.run(tmp_path, "transcribe", "talk.wav")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == list(SCRIPT)
    assert installed.run(tmp_path, "sessions", "show", "latest").out.endswith(f"{SCRIPT[-1]}\n")
