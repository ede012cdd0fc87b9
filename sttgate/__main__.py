"""``python -m sttgate``."""

from sttgate.cli import main

main()
