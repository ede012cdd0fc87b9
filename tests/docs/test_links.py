"""Links lead somewhere, and no file tells where it was written."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, read

# Places of one machine, and addresses of package registries: what is written here must not match.
_PRIVATE = re.compile(
    r"(?<![\w.~-])/(?:root|work|home/\w+|Users/\w+|tmp/lab|opt/pypi\w*)/"
    r"|\b(?:(?:test\.)?pypi|pythonhosted|npmjs|crates|anaconda)\.(?:org|com|io)\b"
    r"|\bproxy\.golang\.org\b|/simple/\s"
)


def _tracked() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("needs the repository")
    found = subprocess.run(
        [git, "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for name in found.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    """Every link to a file or a heading leads to one that is there."""
    for link in links(page.read_text(encoding="utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        if anchor:
            assert anchor in anchors(read(str(target.relative_to(ROOT)))), f"{page.name}: {link}"


def test_every_page_is_linked_from_the_index() -> None:
    """No page of docs/ is an island."""
    linked = {link.partition("#")[0] for link in links(read("docs/index.md"))}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= linked


def test_no_file_tells_where_it_was_written() -> None:
    """No tracked text has a path of somebody's machine or the address of a package registry."""
    found = []
    for path in _tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]!r}" for match in _PRIVATE.finditer(text)]
    assert not found
