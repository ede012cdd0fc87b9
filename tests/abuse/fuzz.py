"""Looks for inputs that break a target, for as long as one likes.

    uv run --with atheris python -m tests.abuse.fuzz TARGET [-max_total_time=60] [...]

Options are libFuzzer's. What it finds belongs into ``corpus.py``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sttgate", "sttgate_deepgram", "sttgate_openai"]):
    from tests.abuse.targets import TARGETS

from tests.abuse.corpus import SEEDS


def main() -> None:
    """Fuzz the target that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        sys.exit(f"Name one of {', '.join(TARGETS)}.")
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for number, seed in enumerate(SEEDS[name]):
        (folder / str(number)).write_bytes(seed)
    atheris.Setup([sys.argv[0], *sys.argv[2:], str(folder)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
