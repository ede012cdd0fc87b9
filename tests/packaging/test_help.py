"""``sttgate --help`` answers at once: it imports nothing that it does not need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("pydantic", "aiohttp", "numpy", "msgspec", "structlog", "yaml", "pluggy", "deepgram")
LIMIT = 0.3  # seconds of CPU; measured: 0.05
LOADED = """
import sys
from sttgate.cli import root
root.main(sys.argv[1:], prog_name="sttgate", standalone_mode=False)
print(*sorted(name for name in sys.modules if "." not in name), file=sys.stderr)
"""


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["serve", "--help"]])
def test_imports(args: list[str], tmp_path: Path) -> None:
    """Neither the help nor the version imports pydantic, aiohttp or anything else that is slow."""
    command = [sys.executable, "-c", LOADED, *args]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "click" in loaded
    assert loaded & set(HEAVY) == set()


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not tell a child's CPU time")
def test_time(tmp_path: Path) -> None:
    """The help costs less than 0.3 s of CPU, start of Python included."""
    spent = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "sttgate", "--help"], cwd=tmp_path, stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        spent.append(usage.ru_utime + usage.ru_stime)
    print(f"sttgate --help: {min(spent):.3f} s of CPU")
    assert min(spent) < LIMIT
