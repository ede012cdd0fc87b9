"""One wheel for all tests, and one environment in which it is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.installing import Environment, build, copy_checkout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    return build(copy_checkout(folder / "source"), "wheel", folder / "built")


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment outside the checkout that has the wheel and not the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    environment = Environment(folder / "venv")
    environment.install(wheel, folder)
    return environment
