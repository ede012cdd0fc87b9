"""requirements.txt pins what pyproject.toml asks for, and both keep out what is known to be unsafe."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires, version

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.packaging.checkout import CHECKOUT, pyproject

FLOORS = {
    # below: request smuggling and compressed frames that cost quadratic time
    "aiohttp": "3.14.5",
    # below: payloads beyond its own bound (CVE-2026-48990), tokens in its messages (CVE-2025-65015)
    "joserfc": "1.6.7",
    # below: the key in the log at debug
    "deepgram-sdk": "7.17",
}
"""What a known weakness of older versions makes the oldest one to run with."""

TEXT = (CHECKOUT / "requirements.txt").read_text("utf-8")
PIN = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[\w.+!-]+)(?: ; (?P<marker>[^\\\n]+?))?"
    r"(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
)


def pins() -> dict[str, list[re.Match[str]]]:
    """Return the pins by name; a package may have several, for different Pythons."""
    found: dict[str, list[re.Match[str]]] = {}
    for match in PIN.finditer(TEXT):
        found.setdefault(canonicalize_name(match["name"]), []).append(match)
    return found


def declared() -> list[Requirement]:
    """Return what the project needs at run time, with the local engine."""
    project = pyproject()["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    return [Requirement(line) for line in lines]


def test_nothing_but_pins() -> None:
    """Each line is a comment or belongs to a pin with hashes: no address, no option, no path."""
    rest = PIN.sub("", TEXT)
    assert [line for line in rest.splitlines() if not line.lstrip().startswith("#")] == []
    assert "://" not in TEXT
    assert "--index" not in TEXT
    assert "--find-links" not in TEXT


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: str(requirement.name))
def test_covers_pyproject(requirement: Requirement) -> None:
    """Each dependency of the project and of sttgate[local] is pinned to a version it accepts."""
    found = pins().get(canonicalize_name(requirement.name))
    assert found, "run the command at the top of requirements.txt"
    for pin in found:
        assert requirement.specifier.contains(pin["version"]), pin["version"]


def test_is_complete() -> None:
    """What a pinned package needs in turn is pinned too, as far as it is installed here."""
    known = pins()
    missing = set()
    for name, found in known.items():
        here = [pin for pin in found if not pin["marker"] or Marker(pin["marker"]).evaluate()]
        try:
            if version(name) not in {pin["version"] for pin in here}:
                continue
        except PackageNotFoundError:
            continue
        for line in requires(name) or ():
            needed = Requirement(line)
            wanted = needed.marker is None or needed.marker.evaluate({"extra": ""})
            if wanted and canonicalize_name(needed.name) not in known:
                missing.add(f"{name} needs {needed}")
    assert missing == set()


def test_one_version_for_each_python() -> None:
    """Several pins of a package have markers that tell which of them holds."""
    for name, found in pins().items():
        assert len(found) == 1 or all(pin["marker"] for pin in found), name
        here = [pin for pin in found if not pin["marker"] or Marker(pin["marker"]).evaluate()]
        assert len(here) <= 1, name


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_floor(name: str, floor: str) -> None:
    """No version with a known weakness is accepted, pinned or in use."""
    (requirement,) = (r for r in declared() if canonicalize_name(r.name) == name)
    bounds = [s.version for s in requirement.specifier if s.operator in (">=", "==", "~=")]
    assert max(map(Version, bounds)) >= Version(floor)
    assert all(Version(pin["version"]) >= Version(floor) for pin in pins()[name])
    assert Version(version(name)) >= Version(floor)


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: str(requirement.name))
def test_installed(requirement: Requirement) -> None:
    """What the tests run with is what pyproject.toml allows."""
    if requirement.marker is None or requirement.marker.evaluate():
        assert requirement.specifier.contains(version(requirement.name))
