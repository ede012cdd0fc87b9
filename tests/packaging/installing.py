"""Building and installing without a network, as pip does it, outside the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

from tests.cli.commands import Ran, run
from tests.packaging.checkout import CHECKOUT

BUILD = (
    "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
)
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
OFFLINE = ("--no-index", "--no-deps", "--no-build-isolation")


def call(*command: str | Path, cwd: Path, patience: float = 120.0) -> None:
    """Run a command that must succeed, without any configuration of pip."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=patience,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def copy_checkout(folder: Path) -> Path:
    """Copy what the project is built from, so that building leaves nothing in the checkout."""
    leftovers = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("sttgate", "plugins"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=leftovers)
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, folder)
    return folder


def build(source: Path, kind: str, folder: Path) -> Path:
    """Build the ``wheel`` or the ``sdist`` of ``source`` into ``folder``; return the file."""
    folder.mkdir(exist_ok=True)
    call(sys.executable, "-c", BUILD, f"build_{kind}", folder, cwd=source)
    (built,) = folder.iterdir()
    return built


class Environment:
    """A fresh environment that borrows all but sttgate from the one that runs the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, with_pip=False)
        scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python, self.script = scripts / "python", scripts / "sttgate"
        names = {"base": str(folder), "platbase": str(folder)}
        self.site = Path(sysconfig.get_path("purelib", "venv", names))
        borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        # A .pth file inside the borrowed folder, such as that of an editable sttgate, has no effect.
        (self.site / "borrowed.pth").write_text("".join(f"{path}\n" for path in sorted(borrowed)))

    def install(self, what: Path, cwd: Path) -> None:
        """Install a wheel or a project."""
        call(*PIP, "--python", self.python, "install", *OFFLINE, what, cwd=cwd)

    def run(self, folder: Path, *args: str | Path, env: Mapping[str, str] | None = None) -> Ran:
        """Run this environment's ``sttgate`` in ``folder``."""
        clean = {"PYTHONPATH": "", "VIRTUAL_ENV": str(self.folder)} | dict(env or {})
        return run(folder, *args, env=clean, command=[str(self.script)])
